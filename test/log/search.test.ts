import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { gzipSync } from 'node:zlib';
import { UserError } from '../../src/base/errors.ts';
import { toJson } from '../../src/log/logEntry.ts';
import type { LogQuery } from '../../src/log/query.ts';
import { searchNodes, type SearchOptions, type SearchResult } from '../../src/log/search.ts';
import { eventually } from '../fakes/eventually.ts';
import { LocalNodes, type LocalNodeOptions } from '../fakes/localNodes.ts';

const root = mkdtempSync(join(tmpdir(), 'faultline-search-'));
after(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
function folderWith(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = join(root, `f${folders++}`);
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

async function searchIn(
  nodes: Readonly<Record<string, LocalNodeOptions>>,
  query: LogQuery,
  options: SearchOptions = {},
): Promise<SearchResult> {
  const access = new LocalNodes(nodes);
  try {
    return await searchNodes(access, access.nodes, query, options);
  } finally {
    access.dispose();
  }
}

/** False for a zombie too: it only waits to be counted. */
function isRunning(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const base = Date.parse('2026-11-22T06:17:54.000Z');
const iso = (ms: number): string => new Date(base + ms).toISOString();
const jsonLine = (ms: number, id: string, msg: string, level = 30): string =>
  `${JSON.stringify({ level, time: base + ms, reqId: id, msg })}\n`;
const pythonLine = (ms: number, id: string, msg: string): string =>
  `${iso(ms).replace('T', ' ').replace('.', ',').replace('Z', '')} - shop - 1 - INFO - ${id} - ${msg}\n`;
const logfmtLine = (ms: number, id: string, msg: string): string =>
  `ts=${iso(ms)} level=info request_id=${id} msg="${msg}"\n`;

test('one request is found in three formats on three nodes, in true order despite a wrong clock', async () => {
  const web = folderWith({
    'web.log':
      jsonLine(0, 'req-1', 'in') + jsonLine(5, 'req-2', 'other') + jsonLine(90, 'req-1', 'out'),
  });
  const worker = folderWith({
    'w.log': pythonLine(10, 'req-1', 'work') + pythonLine(11, 'req-12', 'not this') + ' more\n',
  });
  const store = folderWith({ 'store.log': logfmtLine(3540, 'req-1', 'stored') });
  const result = await searchIn(
    {
      web: { logs: [join(web, '*.log')] },
      worker: { logs: [join(worker, '*.log')], shell: { env: { ...process.env, TZ: 'UTC' } } },
      store: {
        logs: [join(store, '*.log')],
        clock: { offsetMs: 3500, errorMs: 0.2, measuredAt: 0 },
      },
    },
    { contextId: 'req-1' },
  );
  assert.deepEqual(
    result.entries.map((entry) => [entry.node, entry.message, entry.time! - base, entry.line]),
    [
      ['web', 'in', 0, 1],
      ['worker', 'work', 10, 1],
      ['store', 'stored', 40, 1],
      ['web', 'out', 90, 3],
    ],
  );
  assert.deepEqual(result.missing, []);
  assert.deepEqual(result.warnings, []);
  assert.deepEqual(toJson(result.entries[2]!), {
    time: iso(40),
    nodeTime: iso(3540),
    errorMs: 0.2,
    node: 'store',
    source: join(store, 'store.log'),
    line: 1,
    offset: null,
    level: 'info',
    contextId: 'req-1',
    run: null,
    format: 'logfmt',
    orderUnknown: false,
    message: 'stored',
    raw: logfmtLine(3540, 'req-1', 'stored').trimEnd(),
    fields: { ts: iso(3540), level: 'info', request_id: 'req-1', msg: 'stored' },
  });
});

test('an entry comes with its continuation lines, also when the hit is in one of them', async () => {
  const traceback =
    'Traceback (most recent call last):\n  File "x.py", line 1, in f\nKeyError: \'tax\'\n';
  const logs = folderWith({
    'a.log':
      pythonLine(0, 'req-1', 'fine') +
      pythonLine(1, 'req-1', 'failed') +
      traceback +
      pythonLine(2, 'req-1', 'after'),
    'b.log': `plain\n${traceback}next\nKeyError elsewhere\n`,
  });
  const result = await searchIn({ n: { logs: [join(logs, '*.log')] } }, { text: 'KeyError' });
  assert.deepEqual(
    result.entries.map((entry) => [entry.source.slice(-5), entry.line, entry.raw]).sort(),
    [
      ['a.log', 2, (pythonLine(1, 'req-1', 'failed') + traceback).trimEnd()],
      ['b.log', 1, `plain\n${traceback}`.trimEnd()],
      ['b.log', 6, 'KeyError elsewhere'],
    ],
  );
});

test('file names with blanks, quotes and line feeds; links and folders; compressed files', async () => {
  const logs = folderWith({
    'with blank.log': 'needle 1\n',
    'quo\'te"$(x).log': 'needle 2\n',
    'line\nfeed.log': 'needle 3\n',
    'old.log.gz': gzipSync('needle 4\n'),
    'damaged.log.gz': gzipSync('nothing '.repeat(1000)).subarray(0, 40),
  });
  mkdirSync(join(logs, 'folder.log'));
  symlinkSync(join(logs, 'with blank.log'), join(logs, 'current.log'));
  symlinkSync(join(logs, 'nowhere'), join(logs, 'dangling.log'));
  const globs = [
    join(logs, '*.log'),
    join(logs, 'with*'),
    join(logs, '*.gz'),
    join(logs, 'none-*'),
  ];
  const { entries, warnings } = await searchIn({ n: { logs: globs } }, { text: 'needle' });
  assert.deepEqual(
    entries.map((entry) => [entry.source.slice(logs.length + 1), entry.raw]).sort(),
    [
      ['line\nfeed.log', 'needle 3'],
      ['old.log.gz', 'needle 4'],
      ['quo\'te"$(x).log', 'needle 2'],
      ['with blank.log', 'needle 1'],
    ],
  );
  assert.deepEqual(
    warnings.map(({ message }) => message.replace(`${logs}/`, '').split(' on ')[0]!).sort(),
    ['No file matches dangling.log', 'No file matches none-*', 'damaged.log.gz', 'folder.log'],
  );
});

test('lines with NUL are left out with a sentence, the rest of the file is read', async () => {
  const logs = folderWith({ 'a.log': 'needle \0 a\nneedle b\n\0\0\0\nneedle c\n' });
  const { entries, warnings } = await searchIn(
    { n: { logs: [join(logs, 'a.log')] } },
    { text: 'needle' },
  );
  assert.deepEqual(
    entries.map((entry) => [entry.line, entry.raw]),
    [
      [2, 'needle b'],
      [4, 'needle c'],
    ],
  );
  assert.deepEqual(warnings, [
    {
      node: 'n',
      message: `Lines of ${join(logs, 'a.log')} on n hold binary data and were left out.`,
    },
  ]);
});

test('needles are fixed texts, in plain and in JSON spelling, and never options or patterns', async () => {
  const logs = folderWith({
    'a.log': 'say "no"\n-e .*\n{"msg":"say \\"no\\" \\u00e9"}\n$(touch x)\nabc\n',
  });
  const find = async (text: string): Promise<(number | undefined)[]> => {
    const { entries } = await searchIn({ n: { logs: [join(logs, 'a.log')] } }, { text });
    return entries.map((entry) => entry.line);
  };
  assert.deepEqual(await find('say "no"'), [1, 3]);
  assert.deepEqual(await find('"no" é'), [3]);
  assert.deepEqual(await find('-e .*'), [2]);
  assert.deepEqual(await find('$(touch x)'), [4]);
});

test('without a text, the last lines of each file, from the first entry that is whole', async () => {
  const lines = Array.from({ length: 30 }, (_, n) => pythonLine(n, 'req-1', `m${n}`) + ' below\n');
  const logs = folderWith({ 'a.log': lines.join(''), 'b.log': 'x\ny\nz' });
  const { entries } = await searchIn(
    { n: { logs: [join(logs, '*.log')] } },
    {},
    { limits: { linesPerFile: 5 } },
  );
  assert.deepEqual(
    entries.map((entry) => [entry.line, entry.message]),
    [
      [1, 'x'],
      [2, 'y'],
      [3, 'z'],
      [57, 'm28'],
      [59, 'm29'],
    ],
  );
});

test('time and level sieve; a level alone finds the last such entries wherever they are', async () => {
  const logs = folderWith({
    'a.log':
      jsonLine(0, 'a', 'early', 50) +
      jsonLine(1000, 'a', 'warned', 40) +
      Array.from({ length: 2000 }, (_, n) => jsonLine(2000 + n, 'a', 'noise')).join('') +
      jsonLine(9000, 'a', 'late', 60),
  });
  const find = async (query: LogQuery): Promise<readonly string[]> => {
    const { entries } = await searchIn({ n: { logs: [join(logs, 'a.log')] } }, query);
    return [...new Set(entries.map((entry) => entry.message))];
  };
  assert.deepEqual(await find({ level: 'warn' }), ['early', 'warned', 'late']);
  assert.deepEqual(await find({ level: 'error', contextId: 'a' }), ['early', 'late']);
  assert.deepEqual(await find({ since: base + 900, until: base + 2000 }), ['warned', 'noise']);
  assert.deepEqual(await find({ since: base + 9000, text: '"a"' }), ['late']);
});

test('a node that fails is missing, and the others answer', async () => {
  const logs = folderWith({ 'a.log': 'needle\n' });
  const { entries, missing, asked } = await searchIn(
    {
      good: { logs: [join(logs, 'a.log')] },
      refused: {
        logs: ['/x'],
        failure: new UserError('node.refused', 'refused it.', { hint: 'Start sshd.' }),
      },
      unset: {},
      nologin: {
        logs: ['/x'],
        shell: { loginShell: ['/bin/sh', '-c', 'echo No login. >&2; exit 1'] },
      },
    },
    { text: 'needle' },
  );
  assert.deepEqual(
    entries.map((entry) => entry.raw),
    ['needle'],
  );
  assert.deepEqual(asked, ['good', 'refused', 'unset', 'nologin']);
  assert.deepEqual(
    missing.map(({ node, failure }) => [node, failure.code, failure.message]),
    [
      ['refused', 'node.refused', 'refused it.'],
      ['unset', 'log.noSources', 'unset has no log files configured.'],
      [
        'nologin',
        'log.searchEnded',
        'The log search on nologin ended before it was done (1). It said: No login.',
      ],
    ],
  );
});

test('an unreadable clock is said, and times stay as they are', async () => {
  const logs = folderWith({ 'a.log': jsonLine(0, 'a', 'x') });
  const { entries, warnings } = await searchIn(
    {
      n: { logs: [join(logs, 'a.log')], clock: new UserError('node.clockUnreadable', 'no clock') },
    },
    { contextId: 'a' },
  );
  assert.deepEqual(
    entries.map((entry) => [entry.time, entry.errorMs]),
    [[base, undefined]],
  );
  assert.match(warnings[0]!.message, /clock of n could not be measured/);
});

test('more output than the limit is cut and said', async () => {
  const logs = folderWith({ 'a.log': jsonLine(0, 'a', 'x'.repeat(100)).repeat(5000) });
  const { entries, truncated, missing } = await searchIn(
    { n: { logs: [join(logs, 'a.log')] } },
    { contextId: 'a' },
    { limits: { bytesPerNode: 200_000 } },
  );
  assert.deepEqual(truncated, ['n']);
  assert.deepEqual(missing, []);
  assert.ok(entries.length > 1000 && entries.length < 5000, String(entries.length));
});

test('aborting ends the programs on the node', async () => {
  const folder = folderWith({ 'a.log.gz': '' });
  // Stands for a decompressor that takes for ever.
  const bin = folderWith({ gzip: `#!/bin/sh\necho $$ >${folder}/pid\nexec sleep 60\n` });
  execFileSync('chmod', ['+x', join(bin, 'gzip')]);
  const access = new LocalNodes({
    n: {
      logs: [join(folder, '*.gz')],
      shell: { env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` } },
    },
  });
  const abort = new AbortController();
  const search = searchNodes(access, access.nodes, { text: 'x' }, {}, abort.signal);
  search.catch(() => undefined);
  const readPid = (): number => Number(readFileSync(join(folder, 'pid'), 'utf8'));
  await eventually(() => assert.ok(readPid() > 1));
  const pid = readPid();
  abort.abort();
  await assert.rejects(search, { name: 'AbortError' });
  await eventually(() => assert.equal(isRunning(pid), false));
  access.dispose();
});

for (const isGrepThere of [true, false]) {
  const how = isGrepThere ? '' : ', also where grep cannot show lines around a hit';
  test(`what is searched for is in no program's arguments and environment${how}`, async () => {
    const folder = folderWith({ 'a.log': 'one\ntwo a-canary\n', seen: '' });
    // Each tool tells what it was given.
    const tools = ['grep', 'awk', 'tr', 'cat'].map((name) => {
      const real = name === 'grep' && !isGrepThere ? 'false' : name;
      const look = `/bin/cat /proc/$$/cmdline /proc/$$/environ >>${folder}/seen`;
      return [
        name,
        `#!/bin/sh\necho ${name} >>${folder}/seen\n${look}\nexec /usr/bin/${real} "$@"\n`,
      ];
    });
    const bin = folderWith(Object.fromEntries(tools) as Record<string, string>);
    execFileSync('chmod', ['-R', '+x', bin]);
    const shell = { env: { PATH: `${bin}:/usr/bin:/bin` } };
    const logs = [join(folder, 'a.log')];
    const { entries } = await searchIn({ n: { logs, shell } }, { text: 'a-canary' });
    assert.deepEqual(
      entries.map(({ line, raw }) => [line, raw]),
      [[2, 'two a-canary']],
    );
    const seen = readFileSync(join(folder, 'seen'), 'latin1').replaceAll('\0', '\n');
    assert.match(seen, /^grep\n/m);
    assert.match(seen, /^awk\n/m);
    assert.doesNotMatch(seen, /a-canary/);
  });
}

test('what cannot be searched for is refused with one sentence', async () => {
  for (const query of [{ text: '' }, { contextId: 'a\nb' }, { since: 2, until: 1 }]) {
    await assert.rejects(searchIn({}, query), { code: 'log.badQuery' });
  }
});
