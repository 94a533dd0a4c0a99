// Following on after a lost connection: what happened to the files meanwhile is made up for, or told.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, type TestContext } from 'node:test';
import { delay } from '../../src/base/async.ts';
import { isCutOff, NodeFollow } from '../../src/log/follow.ts';
import { FollowFrameReader } from '../../src/log/followFrames.ts';
import { ProbeFollow, type ProbeFollowSink } from '../../src/log/followProbe.ts';
import type { LocalShellOptions } from '../../src/remote/localShell.ts';
import type { Node, NodeAccess } from '../../src/remote/node.ts';
import { connectionLost } from '../../src/remote/sshFailures.ts';
import { eventually } from '../fakes/eventually.ts';
import { LosableShell } from '../fakes/losableShell.ts';

const root = mkdtempSync(join(tmpdir(), 'faultline-resume-'));
after(() => rmSync(root, { recursive: true, force: true }));

const nodeOf = (logs: readonly string[]): Node => ({
  name: 'n',
  host: 'n',
  labels: [],
  logs,
  origin: 'settings',
});

const silent: ProbeFollowSink = {
  onReady: () => undefined,
  onEntry: () => undefined,
  onGap: (_, reason) => assert.fail(reason),
  onWarning: (message) => assert.fail(message),
  onResume: () => undefined,
};

/** A follow whose connection is cut and made again as the test says. */
class CutFollow {
  readonly seen: string[] = [];
  private readonly follow: NodeFollow;
  private readonly shellOptions: LocalShellOptions;
  private shell: LosableShell | undefined;
  private abort = new AbortController();
  private ended: Promise<void> = Promise.resolve();
  private onReady = (): void => undefined;

  constructor(t: TestContext, glob: string, shellOptions: LocalShellOptions = {}) {
    t.after(() => this.stop());
    this.shellOptions = shellOptions;
    const node = nodeOf([glob]);
    const access: NodeAccess = {
      nodes: [node],
      onDidChange: () => ({ dispose: () => undefined }),
      state: () => ({ kind: 'ready', clock: undefined }),
      shell: async () => (this.shell ??= new LosableShell(this.shellOptions)),
      clock: async () => ({ offsetMs: 0, errorMs: 0.1, measuredAt: 0 }),
    };
    this.follow = new NodeFollow(access, node, {
      onReady: () => this.onReady(),
      onEntry: ({ raw }) => this.seen.push(raw),
      onGap: (source, reason) =>
        this.seen.push(`GAP ${reason.replaceAll(source.replace(/[^/]*$/, ''), '')}`),
      onWarning: () => undefined,
      onResume: () => this.seen.push('RESUMED'),
    });
  }

  /** Without waiting until it is ready. */
  begin(): this {
    this.ended = this.follow.run(this.abort.signal);
    return this;
  }

  async start(): Promise<this> {
    const ready = new Promise<void>((resolve) => (this.onReady = resolve));
    await Promise.race([ready, this.begin().ended]);
    return this;
  }

  async cut(): Promise<void> {
    const { shell, ended } = this;
    this.shell = undefined;
    shell?.lose(connectionLost('n'));
    await assert.rejects(ended, isCutOff);
  }

  private async stop(): Promise<void> {
    this.abort.abort();
    await this.ended;
    this.follow.end();
    this.shell?.dispose();
  }

  /** In any order of the files. */
  async saw(expected: readonly string[]): Promise<void> {
    await eventually(() => assert.deepEqual(short(this.seen), short(expected)));
  }
}

/** Long enough to know a file by, and all of one length with the same end. */
const line = (name: string, n: number): string => `${name} line ${n} ${'x'.repeat(70)}`;
const lines = (name: string, from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, n) => line(name, from + n));
const nameOf = (path: string): string => path.split('/').at(-2)!;
const write = (path: string, from: number, to: number): void =>
  appendFileSync(
    path,
    lines(nameOf(path), from, to)
      .map((text) => `${text}\n`)
      .join(''),
  );

/** What was seen, as short texts. */
const short = (texts: readonly string[]): string[] =>
  texts.map((text) => text.replace(/ x+$/, '')).sort();

function newLog(name: string): string {
  const folder = join(root, name);
  mkdirSync(folder);
  return join(folder, 'app.log');
}

interface Meanwhile {
  /** Writes lines 2 and 3, while 0 and 1 were read before. */
  readonly happens: (path: string) => void;
  readonly lost?: readonly number[];
  readonly gap?: string;
}

const meanwhile: Readonly<Record<string, Meanwhile>> = {
  lines: { happens: (path) => write(path, 2, 4) },
  rename: {
    happens: (path) => {
      write(path, 2, 3);
      renameSync(path, `${path}.1`);
      write(path, 3, 4);
    },
  },
  rename2: {
    happens: (path) => {
      renameSync(path, `${path}.1`);
      write(path, 2, 3);
      renameSync(`${path}.1`, `${path}.2`);
      renameSync(path, `${path}.1`);
      write(path, 3, 4);
    },
  },
  copytruncate: {
    happens: (path) => {
      write(path, 2, 3);
      copyFileSync(path, `${path}.1`);
      truncateSync(path);
      write(path, 3, 4);
    },
  },
  copytruncateLonger: {
    happens: (path) => {
      copyFileSync(path, `${path}.1`);
      truncateSync(path);
      write(path, 2, 4);
    },
  },
  copytruncate2: {
    happens: (path) => {
      copyFileSync(path, `${path}.1`);
      truncateSync(path);
      write(path, 2, 3);
      renameSync(`${path}.1`, `${path}.2`);
      copyFileSync(path, `${path}.1`);
      truncateSync(path);
      write(path, 3, 4);
    },
  },
  another: {
    happens: (path) => {
      write(path, 2, 3);
      write(path.replace('app', 'api'), 3, 4);
    },
  },
  replaced: {
    happens: (path) => {
      copyFileSync(path, `${path}~`);
      write(`${path}~`, 2, 4);
      renameSync(`${path}~`, path);
    },
  },
  truncated: {
    happens: (path) => {
      write(path, 2, 3);
      truncateSync(path);
      write(path, 3, 4);
    },
    lost: [2],
    gap: 'app.log was truncated or replaced while the connection was lost: lines before that may be missing.',
  },
  recreated: {
    happens: (path) => {
      write(path, 2, 3);
      // It keeps its inode until the new one has another.
      renameSync(path, `${path}~`);
      write(path, 3, 4);
      unlinkSync(`${path}~`);
    },
    lost: [2],
    gap: 'app.log was deleted or moved away while the connection was lost: its last lines may be missing.',
  },
  compressedAllRead: {
    happens: (path) => {
      renameSync(path, `${path}.1`);
      execFileSync('gzip', [`${path}.1`]);
      write(path, 2, 4);
    },
  },
  copytruncateCompressed: {
    happens: (path) => {
      write(path, 2, 3);
      copyFileSync(path, `${path}.1`);
      execFileSync('gzip', [`${path}.1`]);
      truncateSync(path);
      write(path, 3, 4);
    },
    lost: [2],
    gap: 'app.log was compressed while the connection was lost: its last 111 bytes are in app.log.1.gz only. Search to see them.',
  },
  compressed: {
    happens: (path) => {
      write(path, 2, 3);
      renameSync(path, `${path}.1`);
      execFileSync('gzip', [`${path}.1`]);
      write(`${path}.other`, 0, 1);
      write(path, 3, 4);
    },
    lost: [2],
    gap: 'app.log was compressed while the connection was lost: its last 99 bytes are in app.log.1.gz only. Search to see them.',
  },
};

test('what happened to files while the connection was lost is made up for, or told', async (t) => {
  const followed = new CutFollow(t, join(root, 'meanwhile-*', 'ap*.log'));
  const paths = new Map<string, string>();
  for (const name of Object.keys(meanwhile)) {
    const path = newLog(`meanwhile-${name}`);
    paths.set(name, path);
    writeFileSync(path, '');
    writeFileSync(`${path}.9`, 'from long ago\n');
  }
  await followed.start();
  for (const path of paths.values()) write(path, 0, 2);
  await followed.saw([...paths.values()].flatMap((path) => lines(nameOf(path), 0, 2)));
  await followed.cut();
  for (const [name, path] of paths) meanwhile[name]!.happens(path);
  const before = followed.seen.length;
  await followed.start();
  for (const path of paths.values()) write(path, 4, 6);
  const expected = [...paths].flatMap(([name, path]) => {
    const { lost = [], gap } = meanwhile[name]!;
    const told = gap === undefined ? [] : [`GAP ${gap}`];
    return [...told, ...lines(nameOf(path), 0, 6).filter((_, n) => !lost.includes(n))];
  });
  await followed.saw(['RESUMED', ...expected]);
  // Gaps come before the news that all goes on, and this before whatever was written since.
  const gaps = expected.filter((text) => text.startsWith('GAP')).length;
  const first = followed.seen.slice(before, before + gaps + 1);
  assert.ok(
    first.slice(0, -1).every((text) => text.startsWith('GAP')),
    first.join('\n'),
  );
  assert.equal(first.at(-1), 'RESUMED');
});

test('it is cut again and again, at any time, with rotations in between', async (t) => {
  const path = newLog('again');
  writeFileSync(path, '');
  const followed = await new CutFollow(t, path).start();
  for (let round = 0; round < 8; round++) {
    write(path, round * 2, round * 2 + 1);
    if (round % 3 === 0) renameSync(path, `${path}.${round}`);
    await delay(round * 25);
    await followed.cut();
    write(path, round * 2 + 1, round * 2 + 2);
    followed.begin();
  }
  const text = (): string[] => followed.seen.filter((one) => one !== 'RESUMED');
  await eventually(() => assert.equal(text().length, 16));
  assert.deepEqual(text().sort(), lines('again', 0, 16).sort());
});

test('a file that was first seen under a rotated name goes on under the next one', async (t) => {
  const path = newLog('renumbered');
  writeFileSync(path, '');
  const followed = await new CutFollow(t, path).start();
  // All between two looks.
  write(path, 0, 1);
  renameSync(path, `${path}.1`);
  write(path, 1, 2);
  renameSync(`${path}.1`, `${path}.2`);
  renameSync(path, `${path}.1`);
  write(path, 2, 3);
  await followed.saw(lines('renumbered', 0, 3));
  await followed.cut();
  renameSync(`${path}.2`, `${path}.3`);
  renameSync(`${path}.1`, `${path}.2`);
  write(`${path}.2`, 3, 4);
  await followed.start();
  await followed.saw(['RESUMED', ...lines('renumbered', 0, 4)]);
});

test('a file that may not be read for now goes on where it was when it may', async (t) => {
  const path = newLog('unreadable');
  writeFileSync(path, '');
  chmodSync(root, 0o755);
  // Root may read everything.
  const loginShell =
    process.getuid?.() === 0
      ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '/bin/sh', '-c']
      : ['/bin/sh', '-c'];
  const followed = await new CutFollow(t, path, { loginShell }).start();
  write(path, 0, 1);
  await followed.saw(lines('unreadable', 0, 1));
  await followed.cut();
  write(path, 1, 2);
  chmodSync(path, 0o000);
  await followed.start();
  assert.deepEqual(followed.seen.slice(1), ['RESUMED']);
  chmodSync(path, 0o644);
  await followed.saw(['RESUMED', ...lines('unreadable', 0, 2)]);
});

test('without Python, lines that were written meanwhile may be missing, and that is said', async (t) => {
  const bin = mkdtempSync(join(root, 'bin-'));
  for (const name of ['sh', 'tail', 'date', 'setsid', 'cat', 'sleep']) {
    symlinkSync(join('/usr/bin', name), join(bin, name));
  }
  const path = newLog('tail');
  writeFileSync(path, '');
  const followed = await new CutFollow(t, path, { env: { PATH: bin } }).start();
  await eventually(() => {
    write(path, 0, 1);
    assert.ok(followed.seen.length > 0);
  });
  await followed.cut();
  const before = followed.seen.length;
  write(path, 1, 2);
  await followed.start();
  await eventually(() => {
    write(path, 2, 3);
    assert.ok(followed.seen.includes(line('tail', 2)));
  });
  assert.deepEqual(followed.seen.slice(before, before + 2), [
    'GAP Lines that were written meanwhile may be missing.',
    'RESUMED',
  ]);
});

// --- where the cut falls --------------------------------------------------------------------------------

const content = Buffer.from(
  'é😀 plain\r\n{"level":50,"msg":"bäd"}\nTraceback (most recent call last):\n' +
    '  File "x.py", line 1\nKeyError: "€"\r\nafter 𝄞\r\n\r\nend\n',
);

/** What is shown of the content when the connection is lost after each of these many bytes. */
function followCutAt(cuts: readonly number[]): string[] {
  const raws: string[] = [];
  const probe = new ProbeFollow(nodeOf([]), {
    ...silent,
    onEntry: ({ raw, offset }) => raws.push(`${offset} ${raw}`),
  });
  let from = 0;
  let mark = { path: '/a', id: '1:2', head: Buffer.alloc(0), tail: Buffer.alloc(0) };
  for (const to of [...cuts, content.length]) {
    const { resume } = probe.begin(undefined) as {
      resume?: readonly { o: number; head: string; tail: string }[];
    };
    if (resume !== undefined) {
      const [{ o, head, tail }] = resume as [{ o: number; head: string; tail: string }];
      assert.equal(o, from);
      mark = { ...mark, head: Buffer.from(head, 'base64'), tail: Buffer.from(tail, 'base64') };
      assert.deepEqual(mark.head, content.subarray(0, Math.min(64, from)));
      assert.deepEqual(mark.tail, content.subarray(Math.max(0, from - 64), from));
    }
    probe.take({ kind: 'zone', offset: 0, since: 1 });
    probe.take({ kind: 'open', mark: { ...mark, generation: 1, offset: from } });
    probe.take({ kind: 'ready' });
    const bytes = content.subarray(from, to);
    probe.take({ kind: 'data', generation: 1, offset: from, bytes });
    from = to;
  }
  probe.endAll();
  return raws;
}

test('wherever the connection is lost, in a character, a line end or a trace, all is joined once', () => {
  const whole = followCutAt([]);
  assert.deepEqual(whole, [
    '0 é😀 plain',
    '14 {"level":50,"msg":"bäd"}\nTraceback (most recent call last):\n  File "x.py", line 1\nKeyError: "€"',
    '114 after 𝄞',
    '128 end',
  ]);
  for (let cut = 0; cut <= content.length; cut++) {
    assert.deepEqual(followCutAt([cut]), whole, `cut at ${cut}`);
    assert.deepEqual(followCutAt([cut, Math.min(cut + 1, content.length)]), whole, `cut at ${cut}`);
  }
});

test('the follower goes on at every byte', async () => {
  const folder = join(root, 'bytes');
  mkdirSync(folder);
  const none = Buffer.alloc(0);
  // As if each file had been read up to another byte when the connection was lost.
  const before = new ProbeFollow(nodeOf([join(folder, '*.log')]), silent);
  before.begin(undefined);
  before.take({ kind: 'zone', offset: 0, since: Date.now() / 1000 });
  for (let cut = 0; cut <= content.length; cut++) {
    const path = join(folder, `${cut}.log`);
    writeFileSync(path, content);
    const { dev, ino } = statSync(path);
    const generation = cut + 1;
    const mark = { generation, path, id: `${dev}:${ino}`, offset: 0, head: none, tail: none };
    before.take({ kind: 'open', mark });
    before.take({ kind: 'data', generation, offset: 0, bytes: content.subarray(0, cut) });
  }
  before.take({ kind: 'ready' });

  const config = { globs: [join(folder, '*.log')], ...before.begin(undefined) };
  const follower = join(import.meta.dirname, '../../src/probe/python/follower.py');
  const program = spawn('python3', [follower], { stdio: ['pipe', 'pipe', 'inherit'] });
  program.stdin.write(`${JSON.stringify(config)}\n`);
  const reader = new FollowFrameReader();
  const rests = new Map<number, Buffer>();
  for await (const chunk of program.stdout as AsyncIterable<Buffer>) {
    for (const frame of reader.push(chunk)) {
      if (frame.kind === 'open') rests.set(frame.mark.generation, none);
      if (frame.kind === 'data') {
        const { generation, bytes } = frame;
        rests.set(generation, Buffer.concat([rests.get(generation)!, bytes]));
      }
      assert.notEqual(frame.kind, 'gap');
      if (frame.kind === 'ready') program.stdin.end();
    }
  }
  assert.equal(rests.size, content.length + 1);
  for (const [generation, rest] of rests) {
    assert.deepEqual(rest, content.subarray(generation - 1), `from ${generation - 1}`);
  }
});
