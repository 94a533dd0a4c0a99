import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test, { after } from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import { envCommand } from '../../src/cli/env.ts';
import { EnvHistory } from '../../src/env/history.ts';
import { fromSnapshot } from '../../src/env/comparable.ts';
import { readSnapshot, writeSnapshot } from '../../src/env/envSnapshot.ts';
import { redactionKey } from '../../src/env/redactionKey.ts';
import { LocalNodes } from '../fakes/localNodes.ts';
import { sampleSnapshot, withVariables } from './samples.ts';

const directory = mkdtempSync(join(tmpdir(), 'faultline-env-'));
const env = {
  PATH: '/usr/bin:/bin',
  HOME: directory,
  SHELL: '/bin/sh',
  PAYMENT_TOKEN: 'k7Qz-demo-9931',
};
const nodes = new LocalNodes({
  'work-1': { shell: { env } },
  'work-2': {
    shell: { env: { ...env, TARIFF_REGION: 'eu-central' } },
    clock: new Error('no clock'),
  },
  'dead-1': { failure: new UserError('node.refused', 'dead-1 refused the connection.') },
  'dead-2': { failure: new UserError('node.timeout', 'dead-2 did not answer.') },
});
after(() => {
  nodes.dispose();
  rmSync(directory, { recursive: true });
});

const run = fromSnapshot(sampleSnapshot({ node: 'run r-1', ...withVariables({ A: 'recorded' }) }));
const command = envCommand({
  resolveRun: (id) =>
    id === 'r-1'
      ? Promise.resolve(run)
      : Promise.reject(new UserError('cli.usage', `no run ${id}`)),
  key: () => redactionKey('00'.repeat(32)),
  history: () => new EnvHistory({ directory: join(directory, 'environments') }),
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

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

test('env NODE prints the snapshot as text or JSON, without a secret', async () => {
  const text = await faultline(['work-1']);
  assert.equal(text.code, 0);
  assert.match(text.stdout, /^Environment of work-1\n/);
  assert.match(text.stdout, /^PAYMENT_TOKEN=‹redacted 14 bytes #[0-9a-f]{8}›$/m);
  const json = await faultline(['work-1'], true);
  assert.equal(readSnapshot(json.stdout).node, 'work-1');
  assert.ok(!`${text.stdout}${json.stdout}`.includes('k7Qz-demo'));
});

test('env NODE --out writes a file for its user alone, which env diff reads', async () => {
  const path = join(directory, 'work-2.json');
  const { code, stdout } = await faultline(['work-2', '--out', path]);
  assert.deepEqual([code, stdout], [0, `The environment of work-2 is in ${path}.\n`]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(readSnapshot(readFileSync(path, 'utf8')).node, 'work-2');
  const diff = await faultline(['diff', 'work-1', path], true);
  assert.equal(diff.code, 1);
  const { differences } = JSON.parse(diff.stdout) as { differences: Record<string, unknown>[] };
  const [first] = differences;
  assert.deepEqual(
    [first?.path, first?.a, first?.b, first?.severity],
    ['env.TARIFF_REGION', null, 'eu-central', 'high'],
  );
});

test('env diff of the same says so, and exits with 0', async () => {
  const [a, b] = [
    file('a.json', writeSnapshot(sampleSnapshot())),
    file('b.json', writeSnapshot(sampleSnapshot(withVariables({ HOME: '/home/app' })))),
  ];
  assert.deepEqual(await faultline(['diff', a, a]), {
    code: 0,
    stdout: 'work-1 and work-1 do not differ.\n',
    stderr: '',
  });
  const { code, stdout } = await faultline(['diff', a, b]);
  assert.equal(code, 1);
  assert.equal(
    stdout,
    [
      'work-1 ↔ work-1: 3 differences: 1 high, 2 medium',
      'high    env.TARIFF_REGION: eu-central → –',
      'medium  env.PATH: /usr/local/bin:/usr/bin:/bin → –',
      'medium  env.LANG: C.UTF-8 → –',
      '',
    ].join('\n'),
  );
});

test('env diff takes recorded runs', async () => {
  const a = file('plain.json', writeSnapshot(sampleSnapshot(withVariables({ A: 'now' }))));
  const { stdout } = await faultline(['diff', 'run:r-1', a]);
  assert.match(stdout, /^medium {2}env\.A: recorded → now$/m);
  await assert.rejects(faultline(['diff', 'run:r-2', a]), { code: 'cli.usage' });
});

test('nodes that cannot answer are all named, exit 3', async () => {
  assert.deepEqual(await faultline(['diff', 'dead-1', 'dead-2']), {
    code: 3,
    stdout: '',
    stderr: 'faultline: dead-1 refused the connection.\nfaultline: dead-2 did not answer.\n',
  });
  await assert.rejects(faultline(['dead-1']), { code: 'node.refused' });
});

test('wrong use is told in one sentence', async () => {
  const newer = file('newer.json', JSON.stringify({ ...sampleSnapshot(), version: 2 }));
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /takes one node/],
    [['work-1', 'work-2'], /takes one node/],
    [['work-9'], /no node named "work-9"/],
    [['work-1', '--colour'], /--colour/],
    [['work-1', '--out', join(directory, 'none/x.json')], /x\.json cannot be written/],
    [['diff', 'work-1'], /takes two/],
    [['diff', 'work-1', 'work-9'], /no node named "work-9"/],
    [['diff', './none.json', newer], /none\.json cannot be read/],
    [['diff', newer, newer], /newer\.json: This is an environment snapshot of version 2/],
    [['diff', file('text.json', 'text'), newer], /text\.json: This file is not JSON/],
  ];
  for (const [words, message] of cases) {
    await assert.rejects(faultline(words), { code: 'cli.usage', message }, words.join(' '));
  }
});
