// env matrix, check and history, on nodes that are this machine with other variables. Other programs come and go
// on it, and with them the interpreters they use: what else differs between two snapshots is left out.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test, { after } from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import { junitReport, sarifReport, type NodeDrift } from '../../src/cli/driftReports.ts';
import { envCommand } from '../../src/cli/env.ts';
import { EnvHistory } from '../../src/env/history.ts';
import { redactionKey } from '../../src/env/redactionKey.ts';
import { writeSnapshot } from '../../src/env/envSnapshot.ts';
import { sampleSnapshot, sampleVariables, withVariables } from '../env/samples.ts';
import { LocalNodes } from '../fakes/localNodes.ts';

const directory = mkdtempSync(join(tmpdir(), 'faultline-cli-env-'));
const env = { PATH: '/usr/bin:/bin', HOME: directory, SHELL: '/bin/sh', REGION: 'eu' };
const nodes = new LocalNodes({
  'work-1': { shell: { env } },
  'work-2': { shell: { env: { ...env, REGION: 'us\u001b]52;c;eA==\u0007' } } },
  'work-3': { shell: { env: { ...env, SSH_CLIENT: '10.0.0.1 22' } } },
  'dead-1': { failure: new UserError('node.refused', 'dead-1 refused the connection.') },
});
after(() => {
  nodes.dispose();
  rmSync(directory, { recursive: true });
});

const historyDirectory = join(directory, 'environments');
const history = new EnvHistory({ directory: historyDirectory });
const command = envCommand({
  resolveRun: () => Promise.reject(new Error('no run is asked for here')),
  key: () => redactionKey('00'.repeat(32)),
  history: () => history,
});

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function faultline(words: readonly string[], json = false): Promise<Answer> {
  const written = { stdout: '', stderr: '' };
  const into = (name: 'stdout' | 'stderr'): Writable =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        written[name] += chunk.toString();
        done();
      },
    });
  const code = await command(words, {
    access: nodes,
    stdout: into('stdout'),
    stderr: into('stderr'),
    signal: new AbortController().signal,
    json,
  });
  return { code, ...written };
}

test('env matrix: the odd one out, in lines that fit, with nothing that acts on the terminal', async () => {
  const { code, stdout, stderr } = await faultline([
    ...['matrix', 'work-1', 'work-2', 'work-3', 'dead-1', '--failing', 'work-2', '--no-history'],
  ]);
  assert.equal(code, 3);
  assert.equal(stderr, 'faultline: dead-1: dead-1 refused the connection.\n');
  assert.match(stdout, /^4 nodes: \d+ facts? differs?, \d+ are the same, \d+ folded$/m);
  assert.match(stdout, /^medium {2}env\.REGION +eu ×2 +work-2: us‹ESC›\]52;c;eA==‹BEL›$/m);
  assert.match(stdout, /^ +work-2: .*1 medium/m);
  assert.match(stdout, /^Only on the failing nodes, which may be chance \(1 failing, 2 passing; /m);
  assert.match(stdout, /REGION=us‹ESC›.* on 1 of 1 failing, 0 of 2 passing nodes/);
  assert.match(stdout, /^Could not check:\n +dead-1: dead-1 refused the connection\.$/m);
  assert.ok(!stdout.includes('\u001b'));
  for (const line of stdout.split('\n')) assert.ok(line.length <= 120, line);
  assert.deepEqual(await history.nodes(), []);
});

test('env matrix --json has it all; --all lists what was folded', async () => {
  const { code, stdout } = await faultline(['matrix', 'work-1', 'work-2', '--no-history'], true);
  assert.equal(code, 1);
  const { nodes: told, rows } = JSON.parse(stdout) as {
    nodes: { name: string }[];
    rows: { path: string; cells: number[]; hasMajority: boolean }[];
  };
  assert.deepEqual(
    told.map(({ name }) => name),
    ['work-1', 'work-2'],
  );
  assert.equal(rows.find(({ path }) => path === 'env.REGION')?.hasMajority, false);
  const same = await faultline(['matrix', 'work-1', 'work-3', '--all', '--no-history']);
  assert.equal(same.code, /^2 nodes: 0 facts differ, /.test(same.stdout) ? 0 : 1);
  assert.ok(!/REGION/.test(same.stdout));
  assert.match(same.stdout, /^Folded, as they do not matter \(\d+\):$/m);
  assert.match(same.stdout, /^ +env\.SSH_CLIENT: of this connection$/m);
});

const baseline = join(directory, 'baseline.json');

test('env check: exit 1 with what differs, worst first; 3 when a node is missing', async () => {
  await faultline(['work-1', '--out', baseline, '--no-history']);
  const same = await faultline(['check', '--baseline', baseline, 'work-3', '--no-history']);
  const isSame = /^work-3: no differences, \d+ folded\n/.test(same.stdout);
  assert.deepEqual([same.code, same.stderr], [isSame ? 0 : 1, '']);
  assert.ok(!/REGION/.test(same.stdout));
  const drift = await faultline(['check', '--baseline', baseline, 'work-2', '--no-history']);
  assert.equal(drift.code, 1);
  assert.match(drift.stdout, /^medium {2}env\.REGION: eu → us‹ESC›/m);
  const missing = await faultline([
    ...['check', '--baseline', baseline, 'work-3', 'dead-1', '--no-history'],
  ]);
  assert.equal(missing.code, 3);
  assert.match(missing.stdout, /^dead-1: could not be checked$/m);
});

const hostile = 'a"<b>&\'\u0001\u001b[2J\udc80\ud800\ufffe]]>\t\u202e';
const drifts: readonly NodeDrift[] = [
  {
    node: 'work-1',
    differences: [
      {
        path: `env.${hostile}`,
        chapters: ['login'],
        a: hostile,
        b: null,
        severity: 'high',
        note: hostile,
      },
      { path: 'umask', chapters: ['user'], a: '0022', b: '0077', severity: 'medium', note: null },
    ],
    folded: [],
    uncompared: [{ path: 'pythons', why: 'work-1: timed out' }],
  },
  { node: 'work-2', differences: [], folded: [], uncompared: [] },
  { node: 'dead-1', missing: hostile },
];

/** The required properties of sarif-schema-2.1.0.json (OASIS), for the objects that are in a report. */
const sarifRequired: Readonly<Record<string, readonly string[]>> = {
  log: ['version', 'runs'],
  run: ['tool'],
  tool: ['driver'],
  driver: ['name'],
  rule: ['id'],
  invocation: ['executionSuccessful'],
  notification: ['message'],
  result: ['message'],
};
/** Its enumerations. */
const sarifLevels = ['none', 'note', 'warning', 'error'];

function demand(kind: string, value: unknown): Record<string, unknown> {
  assert.ok(typeof value === 'object' && value !== null, kind);
  for (const name of sarifRequired[kind] ?? []) assert.ok(name in value, `${kind}.${name}`);
  return value as Record<string, unknown>;
}

test('SARIF has what its schema requires', () => {
  const log = demand('log', JSON.parse(sarifReport('ci/base line.json', drifts)));
  assert.equal(log.version, '2.1.0');
  const run = demand('run', (log.runs as unknown[])[0]);
  const driver = demand('driver', demand('tool', run.tool).driver);
  const rules = (driver.rules as unknown[]).map((rule) => demand('rule', rule).id);
  assert.deepEqual(rules, ['env', 'umask']);
  const [invocation] = (run.invocations as unknown[]).map((each) => demand('invocation', each));
  assert.equal(invocation?.executionSuccessful, false);
  for (const each of invocation?.toolExecutionNotifications as unknown[]) {
    const { level, message } = demand('notification', each);
    assert.ok(sarifLevels.includes(level as string));
    assert.equal(typeof (message as { text: unknown }).text, 'string');
  }
  const results = (run.results as unknown[]).map((each) => demand('result', each));
  assert.deepEqual(
    results.map(({ ruleId, ruleIndex, level }) => [ruleId, ruleIndex, level]),
    [
      ['env', 0, 'error'],
      ['umask', 1, 'warning'],
    ],
  );
  assert.deepEqual(results[1]?.message, { text: 'work-1: umask is 0077, not 0022' });
  const [location] = results[1]?.locations as {
    physicalLocation: { artifactLocation: { uri: string } };
    logicalLocations: { name: string; fullyQualifiedName: string }[];
  }[];
  assert.equal(location?.physicalLocation.artifactLocation.uri, 'ci/base%20line.json');
  assert.equal(location?.logicalLocations[0]?.fullyQualifiedName, 'work-1/umask');
  const prints = results.map(({ partialFingerprints }) => JSON.stringify(partialFingerprints));
  assert.equal(new Set(prints).size, 2);
  assert.ok(!sarifReport('b.json', drifts).includes('\\u001b'));
});

test('JUnit is XML to a real parser, whatever the nodes say', () => {
  const program = `
import sys, json, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
print(json.dumps([root.tag, root.attrib, [[suite.attrib, [[case.attrib, [[child.tag, child.attrib] for child in case]] for case in suite]] for suite in root]]))`;
  const parsed = JSON.parse(
    execFileSync('python3', ['-c', program], {
      input: junitReport('base.json', drifts),
      encoding: 'utf8',
    }),
  ) as [
    string,
    Record<string, string>,
    [Record<string, string>, [{ name: string }, [string, { message: string }][]][]][],
  ];
  const [tag, totals, suites] = parsed;
  assert.equal(tag, 'testsuites');
  assert.deepEqual(totals, {
    name: 'faultline env check',
    tests: '5',
    failures: '2',
    errors: '1',
    skipped: '1',
  });
  assert.deepEqual(
    suites.map(([{ name }, cases]) => [name, cases.map(([, [child]]) => child?.[0] ?? 'passed')]),
    [
      ['work-1', ['failure', 'failure', 'skipped']],
      ['work-2', ['passed']],
      ['dead-1', ['error']],
    ],
  );
  const message = suites[0]?.[1][0]?.[1][0]?.[1].message ?? '';
  assert.match(message, /^high: env\.a"<b>&'‹U\+0001›‹ESC›\[2J‹x80›/);
  assert.ok(message.includes('‹U+202E›'));
});

test('env check writes them, and --format is checked', async () => {
  const of = (format: string): readonly string[] => [
    ...['check', '--baseline', baseline, 'work-2', '--format', format, '--no-history'],
  ];
  const sarif = await faultline(of('sarif'));
  assert.equal(sarif.code, 1);
  const log = JSON.parse(sarif.stdout) as { runs: { results: { ruleId: string }[] }[] };
  assert.ok(log.runs[0]?.results.some(({ ruleId }) => ruleId === 'env'));
  assert.match(
    (await faultline(of('junit'))).stdout,
    /<failure message="medium: env\.REGION is us/,
  );
  await assert.rejects(faultline(of('pdf')), { code: 'cli.usage', message: /not pdf/ });
});

test('env history: what could not be read at first is not known to have been so before', async () => {
  const record = (takenAt: string, pythons: object): Promise<unknown> =>
    history.record({ ...sampleSnapshot({ takenAt, node: 'work-9' }), pythons } as never);
  await record('2026-11-01T00:00:00.000Z', { unavailable: 'it took too long' });
  await record('2026-11-02T00:00:00.000Z', sampleSnapshot({}).pythons);
  const { stdout } = await faultline(['history', 'work-9', 'pip']);
  assert.match(stdout, /pip is \S+, at least since 2026-11-02T00:00:00\.000Z/);
  assert.doesNotMatch(stdout, /since before/);
});

test('env history: what changed and when, and since when one fact is as it is', async () => {
  const record = (takenAt: string, region: string, cwd: string): Promise<unknown> =>
    history.record(
      sampleSnapshot({
        takenAt,
        node: 'work-3',
        ...withVariables({ ...sampleVariables, REGION: region }),
        command: { source: '', cwd: { logical: cwd, physical: cwd }, umask: '0022' },
      }),
    );
  await record('2026-11-01T00:00:00.000Z', 'eu', '/a');
  await record('2026-11-02T00:00:00.000Z', 'eu', '/a');
  await record('2026-11-03T00:00:00.000Z', 'us', '/b');
  const all = await faultline(['history', 'work-3']);
  assert.deepEqual(all, {
    code: 0,
    stderr: '',
    stdout: [
      'work-3: seen from 2026-11-01T00:00:00.000Z to 2026-11-03T00:00:00.000Z',
      '',
      '2026-11-02T00:00:00.000Z – 2026-11-03T00:00:00.000Z',
      'medium  env.REGION: eu → us',
      'low     cwd: /a → /b',
      '',
    ].join('\n'),
  });
  const one = await faultline(['history', 'work-3', 'REGION']);
  assert.equal(
    one.stdout,
    [
      'env.REGION is us, since between 2026-11-02T00:00:00.000Z and 2026-11-03T00:00:00.000Z',
      '',
      '2026-11-02T00:00:00.000Z – 2026-11-03T00:00:00.000Z',
      'medium  env.REGION: eu → us',
      '    and also',
      'low     cwd: /a → /b',
      '',
    ].join('\n'),
  );
  const umask = await faultline(['history', 'work-3', 'umask']);
  assert.equal(umask.stdout, 'umask is 0022, since before 2026-11-01T00:00:00.000Z\n');
  const json = JSON.parse((await faultline(['history', 'work-3', 'cwd'], true)).stdout) as {
    changes: { changed: { path: string }[]; others: { path: string }[] }[];
  };
  assert.deepEqual(
    [json.changes[0]?.changed[0]?.path, json.changes[0]?.others[0]?.path],
    ['cwd', 'env.REGION'],
  );
});

test('what the command asks is kept; a history that cannot be written stops nothing', async () => {
  const old = { takenAt: '2020-01-01T00:00:00.000Z', node: 'work-1' };
  await history.record(sampleSnapshot(old));
  await faultline(['work-1']);
  // What is years old went.
  const versions = await history.versions('work-1');
  assert.equal(versions.length, 1);
  assert.notEqual(versions[0]?.firstSeenAt, old.takenAt);
  rmSync(historyDirectory, { recursive: true });
  writeFileSync(historyDirectory, 'a file in its place');
  const { code, stderr } = await faultline(['work-1']);
  rmSync(historyDirectory);
  assert.equal(code, 0);
  assert.match(stderr, /^faultline: The history of environments in .* cannot be written: /);
  assert.ok(!readdirSync(directory).includes('environments'));
});

test('wrong use is told in one sentence', async () => {
  const snapshot = join(directory, 'snapshot.json');
  writeFileSync(snapshot, writeSnapshot(sampleSnapshot()));
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['matrix'], /takes two or more nodes/],
    [['matrix', 'work-1', 'work-1'], /takes two or more nodes/],
    [['matrix', 'work-1', 'work-9'], /no node named "work-9"/],
    [['matrix', 'work-1', 'work-2', '--failing', 'work-3'], /work-3, which is not among/],
    [['matrix', 'work-1', 'work-2', '--format', 'text'], /env matrix has no --format/],
    [['check', 'work-1'], /needs --baseline/],
    [['check', '--baseline', join(directory, 'none.json'), 'work-1'], /cannot be read/],
    [['check', '--baseline', snapshot], /takes one or more nodes/],
    [['diff', 'work-1', 'work-2', '--all'], /env diff has no --all/],
    [['work-1', '--all'], /env has no --all/],
    [['history'], /takes a node/],
    [['history', 'work-9'], /no node named "work-9"/],
    [['history', 'work-2'], /Nothing is kept of work-2 yet/],
  ];
  for (const [words, message] of cases) {
    await assert.rejects(faultline(words), { code: 'cli.usage', message }, words.join(' '));
  }
});
