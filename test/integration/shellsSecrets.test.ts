// What Faultline sends to a node is not there for others to see: no argument and no environment of its programs
// holds it (R-31, T-51).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { delay } from '../../src/base/async.ts';
import { runTerminalCommand } from '../../src/debug/runTerminal.ts';
import { searchNodes } from '../../src/log/search.ts';
import { Emitter } from '../../src/base/emitter.ts';
import type { Node, NodeAccess } from '../../src/remote/node.ts';
import type { PooledShell } from '../../src/remote/pooledShell.ts';
import { runRecorded } from '../../src/run/rerun.ts';
import { startAccountNode, testNode, type AccountNode } from '../fakes/accountNode.ts';
import { eventually } from '../fakes/eventually.ts';
import { whyNoNamespaces } from '../fleet/namespaces.ts';

const whyNot = await whyNoNamespaces();
const account = 'fl-secrets';

/**
 * Reads a secret from stdin, looks at all processes of a user until stdin ends, and prints what it saw. The words
 * after the user's id are programs that may have the secret in their environment.
 */
const watcher = `
import json, os, select, sys
uid, allowed = int(sys.argv[1]), sys.argv[2:]
secret = os.read(0, 4096).strip()
looks, seen, hits = 0, set(), set()
print('ready', flush=True)
while not select.select([0], [], [], 0.001)[0]:
    looks += 1
    for pid in os.listdir('/proc'):
        if not pid.isdigit():
            continue
        try:
            if os.stat('/proc/' + pid).st_uid != uid:
                continue
            command, environ, again = (
                open('/proc/%s/%s' % (pid, name), 'rb').read() for name in ('cmdline', 'environ', 'cmdline'))
        except OSError:
            continue
        if command != again:
            continue  # it became another program in between
        program = command.split(b'\\0')[0].decode('latin1')
        words = command.replace(b'\\0', b' ').decode('latin1').strip()[:200]
        seen.add(os.path.basename(program))
        if secret in command:
            hits.add(('cmdline', words))
        if secret in environ and program not in allowed:
            hits.add(('environ', words))
print(json.dumps({'looks': looks, 'programs': sorted(seen), 'hits': sorted(hits)}))
`;

interface Seen {
  readonly looks: number;
  readonly programs: readonly string[];
  /** `cmdline` or `environ`, and the program. */
  readonly hits: readonly (readonly [string, string])[];
}

/** What was seen of the account's processes while the work was done. */
async function watch(
  uid: number,
  secret: string,
  allowed: readonly string[],
  work: () => Promise<unknown>,
): Promise<Seen> {
  const child = spawn('/usr/bin/python3', ['-I', '-S', '-c', watcher, String(uid), ...allowed], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.write(`${secret}\n`);
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const ended = new Promise((resolve) => child.stdout.once('close', resolve));
  try {
    await eventually(() => assert.match(printed, /^ready\n/), 10_000);
    await work();
  } finally {
    child.stdin.end();
  }
  await ended;
  return JSON.parse(printed.slice('ready\n'.length)) as Seen;
}

describe('secrets on a node', { skip: whyNot ?? false }, () => {
  const secret = `canary-${randomBytes(8).toString('hex')}`;
  let node: AccountNode;
  let shell: PooledShell;
  let uid: number;
  before(async () => {
    node = await startAccountNode({ accounts: [{ name: account, shell: '/bin/bash' }] });
    shell = await node.connect(account);
    uid = Number((await shell.exec({ script: 'id -u' })).stdout.toString());
  });
  after(async () => {
    shell.dispose();
    await node.stop();
  });

  test('in the environment of a run: its program alone has it', async () => {
    const request = {
      argv: ['/bin/sleep', '0.7'],
      env: { API_TOKEN: secret, PATH: '/usr/bin:/bin' },
    };
    const output = { onStdout: () => undefined, onStderr: () => undefined };
    const run = (): Promise<unknown> => runRecorded(shell, testNode, request, output);
    const seen = await watch(uid, secret, ['/bin/sleep'], run);
    assert.deepEqual(seen.hits, []);
    for (const program of ['sleep', 'python3']) assert.ok(seen.programs.includes(program), program);
    assert.ok(seen.looks > 50, String(seen.looks));
    // The same watcher does see it where it is.
    const all = await watch(uid, secret, [], run);
    assert.deepEqual(all.hits, [['environ', '/bin/sleep 0.7']]);
  });

  test('in the environment of the terminal of a run: its shell alone has it', async () => {
    const command = runTerminalCommand({
      cwd: { logical: '/', physical: '/' },
      umask: '0022',
      env: { API_TOKEN: secret, PATH: '/usr/bin:/bin' },
    });
    const seen = await watch(uid, secret, ['/bin/bash'], async () => {
      const terminal = await shell.openTerminal({ columns: 80, rows: 24 }, command);
      let text = '';
      terminal.output.on('data', (chunk: Buffer) => (text += chunk.toString()));
      terminal.write('[ -n "$API_TOKEN" ] && read -r line\r');
      await eventually(() => assert.match(text, /read -r line/));
      await delay(300);
      terminal.write('exit\rexit\r');
      await terminal.exited;
    });
    assert.deepEqual(seen.hits, []);
    assert.ok(seen.programs.includes('bash'));
  });

  test('searched for in logs: nothing on the node has it', async () => {
    const log = join(node.sshd.dir, 'app.log');
    const line = (index: number): string =>
      `2026-11-22T10:00:00Z INFO request ${index} ${index === 300_000 ? secret : 'of no interest'}\n`;
    await writeFile(log, Array.from({ length: 400_000 }, (_, index) => line(index)).join(''));
    const searched: Node = { ...testNode, logs: [log] };
    const access: NodeAccess = {
      nodes: [searched],
      onDidChange: new Emitter<Node>().event,
      state: () => ({ kind: 'ready', clock: undefined }),
      shell: () => Promise.resolve(shell),
      clock: () => Promise.resolve({ offsetMs: 0, errorMs: 1, measuredAt: 0 }),
    };
    let found = 0;
    const seen = await watch(uid, secret, [], async () => {
      for (let times = 0; times < 5; times++) {
        const { entries } = await searchNodes(access, [searched], { text: secret });
        found += entries.length;
      }
    });
    assert.equal(found, 5);
    assert.deepEqual(seen.hits, []);
    for (const program of ['grep', 'awk', 'sh'])
      assert.ok(seen.programs.includes(program), program);
  });

  test('given as an argument or on stdin to a short or a guarded command', async () => {
    const command = { script: 'sleep 0.3; : "$1"', args: [secret] };
    const seen = await watch(uid, secret, [], async () => {
      await shell.exec(command, { stdin: `${secret}\n` });
      const guarded = await shell.start(command, { guard: true });
      guarded.stdout.resume();
      guarded.stderr.resume();
      await guarded.exited;
    });
    assert.deepEqual(seen.hits, []);
    assert.ok(seen.programs.includes('sleep') && seen.programs.includes('sh'));
  });
});
