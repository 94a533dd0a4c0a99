import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import {
  redactArgv,
  redactEnv,
  redactText,
  secretReason,
  describeRedacted,
} from '../../src/env/redact.ts';
import { hashSecret, redactionKey } from '../../src/env/redactionKey.ts';
import { readSecretTable, secretRules } from '../../src/env/secretPatterns.ts';
import { harmlessLines, harmlessVariables, secretNames, secretsByValue } from './secretCorpus.ts';

const key = redactionKey('00'.repeat(32));
const value = 'k7Qz-demo-9931';

test('a value of a secret kind is masked wherever it is: variable, word of a command, line', () => {
  for (const { kind, text, secret } of secretsByValue) {
    assert.ok(secretReason('SETTING', text) !== undefined, `${kind} in a variable`);
    assert.ok(!redactText(`before ${text} after`, key).includes(secret), `${kind} in a line`);
    assert.ok(
      !redactArgv(['tool', text], key).join(' ').includes(secret),
      `${kind} as an argument`,
    );
  }
  assert.ok(secretsByValue.length + secretNames.length >= 60);
});

test('a variable with a name of a secret is masked whatever its value', () => {
  for (const [kind, names] of secretNames) {
    for (const name of names) assert.equal(secretReason(name, value), 'name', `${kind}: ${name}`);
  }
});

test('look-alikes stay readable', () => {
  for (const [name, harmless] of harmlessVariables) {
    assert.equal(secretReason(name, harmless), undefined, `${name}=${harmless}`);
  }
  for (const line of harmlessLines) assert.equal(redactText(line, key), line);
});

test('what is left of a secret: why, how long, and a hash of the key that tells equal from different', () => {
  const masked = redactEnv({ DB_PASSWORD: value, PATH: '/bin' }, key);
  assert.deepEqual(masked, {
    DB_PASSWORD: { redacted: true, reason: 'name', length: 14, hash: hashSecret(value, key) },
    PATH: '/bin',
  });
  const other = redactionKey('11'.repeat(32));
  assert.notEqual(hashSecret(value, key), hashSecret(value, other));
  assert.match(hashSecret(value, key), /^[0-9a-f]{8}$/);
  assert.equal(describeRedacted({ length: 14, hash: '1a2b3c4d' }), '‹redacted 14 bytes #1a2b3c4d›');
});

test('the secret of one variable is masked in the others that hold it', () => {
  const masked = redactEnv(
    {
      DB_PASSWORD: 'p/w+7-of=shop',
      CONNECT: 'at store-1 with p/w+7-of=shop',
      LINK: 'x?p%2Fw%2B7-of%3Dshop',
    },
    key,
  );
  assert.ok(
    Object.values(masked).every((each) => typeof each === 'object'),
    JSON.stringify(masked),
  );
  // A plain word would take harmless values with it.
  assert.equal(redactEnv({ DB_PASSWORD: 'shop', USER: 'shop' }, key).USER, 'shop');
});

test('names that objects inherit are ordinary variables', () => {
  const masked = redactEnv(
    JSON.parse('{"__proto__":"a","constructor":"b"}') as Record<string, string>,
    key,
  );
  assert.deepEqual(Object.entries(masked), [
    ['__proto__', 'a'],
    ['constructor', 'b'],
  ]);
});

test('command lines: options that take a secret, in the next word or the same', () => {
  const shown = (argv: readonly string[]): string =>
    redactArgv(argv, key)
      .join(' ')
      .replace(/‹redacted:[0-9a-f]{8}›/g, '‹›');
  const cases: readonly (readonly [string, string])[] = [
    ['tool --password hunter2x --all', 'tool --password ‹› --all'],
    ['tool --db-password=hunter2x', 'tool --db-password=‹›'],
    ['env DB_PASSWORD=hunter2x tool', 'env DB_PASSWORD=‹› tool'],
    ['/usr/bin/sshpass -p hunter2x ssh work-1', '/usr/bin/sshpass -p ‹› ssh work-1'],
    ['sshpass -phunter2x ssh work-1', 'sshpass -p‹› ssh work-1'],
    ['mysql -phunter2x shop', 'mysql -p‹› shop'],
    ['mysql -p shop', 'mysql -p shop'],
    ['curl -u shop:hunter2x http://x', 'curl -u shop:‹› http://x'],
    ['curl --user=shop:hunter2x http://x', 'curl --user=shop:‹› http://x'],
    ['docker run -u 1000:1000 shop', 'docker run -u 1000:1000 shop'],
    ['tool --no-password --all', 'tool --no-password --all'],
    ['python3 -m shop.settle --order 7', 'python3 -m shop.settle --order 7'],
  ];
  for (const [before, after] of cases) assert.equal(shown(before.split(' ')), after);
});

test('masking twice changes nothing', () => {
  for (const { text } of secretsByValue) {
    const once = redactText(text, key);
    assert.equal(redactText(once, key), once);
  }
});

test('hostile repetition takes a bounded time', () => {
  // Repetitions that make a careless pattern start over and over. The bound is generous: a quadratic
  // pattern takes minutes.
  const startedAt = performance.now();
  for (const part of [
    'key',
    'token=',
    'secret ',
    'password:',
    'AKIA',
    'xox',
    'a.',
    '://',
    '--token ',
  ]) {
    redactText(part.repeat(Math.ceil((1 << 16) / part.length)), key);
  }
  assert.ok(performance.now() - startedAt < 5000);
});

test('the table is the recorder’s own; without it nothing is let through in silence', () => {
  assert.throws(() => readSecretTable('# nothing here'), /no table/);
  assert.ok(secretRules().values.find('akia').length > 0);
});

/** Asks the recorder, in one go: for each variable its reason, for each line the masked text. */
const askRecorder = `
import json, sys
sys.path.insert(0, sys.argv[1])
import faultline_probe as probe
asked = json.load(sys.stdin)
def reason(name, value):
    if probe.is_secret_name(name, value): return 'name'
    return 'value' if any(True for _ in probe.secret_spans(value)) else None
json.dump({
  'variables': [reason(*pair) for pair in asked['variables']],
  'lines': [probe.Redactor(asked['salt']).text(line) for line in asked['lines']],
  'argv': [probe.Redactor(asked['salt']).argv(argv) for argv in asked['argv']],
}, sys.stdout)
`;

test('the recorder on the node and this side take the same for secrets', () => {
  const variables = [
    ...secretNames.flatMap(([, names]) => names.map((name) => [name, value] as const)),
    ...secretsByValue.map(({ text }) => ['SETTING', text] as const),
    ...harmlessVariables,
    ['API_KEY', ''],
    ['sig', 'abcdefghijklmnopqrst12345'],
    ['SSL_KEY', 'short'],
  ] as const;
  const lines = [
    ...secretsByValue.map(({ text }) => `at work-1: ${text} (retry)`),
    ...harmlessLines,
  ];
  const argv = [
    ...secretsByValue.map(({ text }) => ['tool', ...text.split(' ')]),
    ['curl', '-u', 'shop:hunter2x', 'http://store-1'],
    ['sshpass', '-phunter2x', 'ssh'],
    ['tool', '--api-key', 'k9-demo-key', '--auth', 'basic'],
  ];
  const directory = join(import.meta.dirname, '../../src/probe/python');
  const answer = JSON.parse(
    execFileSync('python3', ['-B', '-c', askRecorder, directory], {
      input: JSON.stringify({ variables, lines, argv, salt: key.secret }),
      encoding: 'utf8',
      maxBuffer: 1 << 24,
    }),
  ) as { variables: (string | null)[]; lines: string[]; argv: string[][] };
  assert.deepEqual(
    variables.map(([name, text]) => [name, secretReason(name, text) ?? null]),
    variables.map(([name], index) => [name, answer.variables[index]]),
  );
  assert.deepEqual(
    lines.map((line) => redactText(line, key)),
    answer.lines,
  );
  const isMasked = (words: readonly string[]): boolean => words.join(' ').includes('‹redacted:');
  assert.deepEqual(
    argv.map((words) => [words, isMasked(redactArgv(words, key))]),
    argv.map((words, index) => [words, isMasked(answer.argv[index] ?? [])]),
  );
});
