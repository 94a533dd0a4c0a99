import assert from 'node:assert/strict';
import test from 'node:test';
import { askRecorder } from './pythons.ts';

const hex = (length: number) => '0123456789abcdef'.repeat(10).slice(0, length);
const mixed = (length: number) => 'aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0z'.repeat(20).slice(0, length);
const upper = (length: number) => 'A2B3C4D5E6F7G2H3J4K5L6M7N2P3Q4R5'.repeat(4).slice(0, length);
const pem = `-----BEGIN RSA PRIVATE KEY-----\n${mixed(64)}\n-----END RSA PRIVATE KEY-----`;

/** Variables that are secrets, by their names or by their values. */
const secrets: readonly (readonly [name: string, value: string])[] = [
  ['DB_PASSWORD', 'hunter2'],
  ['dbPassword', 'hunter2'],
  ['MYSQL_PWD', 'hunter2'],
  ['PGPASSWORD', 'x'],
  ['smtp-pass', 'hunter2'],
  ['SSH_PASSPHRASE', 'correct horse'],
  ['DJANGO_SECRET_KEY', 'abc'],
  ['clientSecret', 'abc'],
  ['API_TOKEN', 'abc'],
  ['accesstoken', 'abc'],
  ['STRIPE_APIKEY', 'abc'],
  ['APIKey', 'abc'],
  ['AWS_SECRET_ACCESS_KEY', 'abc'],
  ['PRIVATE_KEY', 'abc'],
  ['GIT_CREDENTIALS', 'abc'],
  ['BASIC_AUTH', 'me:it'],
  ['HTTP_AUTHORIZATION', 'Basic x'],
  ['SESSION_COOKIE', 'abc'],
  ['SESSIONID', 'abc'],
  ['PHPSESSID', 'abc'],
  ['SENTRY_DSN', 'https://abc@sentry.example.org/1'],
  ['DATABASE_URL', 'postgres://db/shop'],
  ['ENCRYPTION_KEY', 'abc'],
  ['OTP', '123456'],
  ['SLACK_WEBHOOK', 'abc'],
  ['DEPLOY_KEYS', `k1-${mixed(30)}`],
  ['UPSTREAM', 'http://me:s3cret@proxy:3128'],
  ['BROKER', 'amqp://guest:p%40ss@mq//'],
  ['A01', `ghp_${mixed(36)}`],
  ['A02', `github_pat_${mixed(40)}`],
  ['A03', `glpat-${mixed(20)}`],
  ['A04', `AKIA${upper(16)}`],
  ['A05', `AIza${mixed(35)}`],
  ['A06', `xoxb-1234567890-${mixed(20)}`],
  ['A07', `sk_live_${mixed(24)}`],
  ['A08', `npm_${mixed(36)}`],
  ['A09', `pypi-AgE${mixed(60)}`],
  ['A10', `SG.${mixed(66)}`],
  ['A11', `eyJ${mixed(20)}.eyJ${mixed(20)}.${mixed(30)}`],
  ['A12', pem],
  ['A13', pem.replaceAll('\n', '\\n')],
  ['A14', `hvs.${mixed(30)}`],
  ['A15', `glsa_${mixed(32)}_${hex(8)}`],
  ['A16', `hf_${mixed(34)}`],
  ['A17', `dapi${hex(32)}`],
  ['A18', `dop_v1_${hex(64)}`],
  ['A19', `shpat_${hex(32)}`],
  ['A20', `https://hooks.slack.com/services/T000/B000/${mixed(24)}`],
  ['A21', `Server=db;User Id=sa;Password=hunter2!;`],
  ['A22', `DefaultEndpointsProtocol=https;AccountKey=${mixed(86)}==`],
  ['A23', `https://store.example/x?sv=1&sig=${mixed(43)}%3D`],
  ['A24', `sk-ant-api03-${mixed(40)}`],
  ['A25', `123456789:AA${mixed(33)}`],
  ['A26', `dckr_pat_${mixed(27)}`],
];

/** Variables that only look so: they must stay readable, or environments cannot be compared. */
const harmless: readonly (readonly [name: string, value: string])[] = [
  ['PWD', '/srv/shop'],
  ['OLDPWD', '/root'],
  ['TOKENIZERS_PARALLELISM', 'false'],
  ['MAX_TOKENS', '4096'],
  ['PROMPT_TOKEN_COUNT', '12'],
  ['AUTHOR', 'Ada Lovelace'],
  ['GIT_AUTHOR_NAME', 'Ada Lovelace'],
  ['GIT_AUTHOR_EMAIL', 'ada@example.org'],
  ['SSH_AUTH_SOCK', '/run/user/1000/ssh'],
  ['KEYBOARD', 'de'],
  ['XDG_SESSION_ID', '4'],
  ['XDG_SESSION_TYPE', 'tty'],
  ['DESKTOP_SESSION', 'gnome'],
  ['DBUS_SESSION_BUS_ADDRESS', 'unix:path=/run/user/0/bus'],
  ['TERM_SESSION_ID', 'w0t0p0'],
  ['DB_PASSWORD_FILE', '/run/secrets/db'],
  ['PGPASSFILE', '/root/.pgpass'],
  ['SSL_KEY_PATH', './certs/key.pem'],
  ['GOOGLE_APPLICATION_CREDENTIALS', '/etc/gcp.json'],
  ['SESSION_TIMEOUT', '30'],
  ['TOKEN_TTL', '3600'],
  ['CSRF_COOKIE_SECURE', 'True'],
  ['AUTH_ENABLED', 'yes'],
  ['SESSION_BACKEND', 'redis'],
  ['TOKEN_URL', 'https://login.example.org/oauth/token'],
  ['DB_PASSWORD', ''],
  ['API_TOKEN', '$' + '{API_TOKEN}'],
  ['API_SECRET', 'xxxxxxxx'],
  ['API_TOKEN_2', 'none'],
  ['GPG_KEY', 'A035C8C19219BA821ECEA86B64E628F8D684696D'],
  ['SSH_CONNECTION', '10.0.0.1 5000 10.0.0.2 22'],
  ['PATH', '/usr/local/bin:/usr/bin:/bin'],
  ['LS_COLORS', 'rs=0:di=01;34:ln=01;36:*.tar=01;31'],
  ['GIT_COMMIT', 'c3ff574ae254b6e0789f97a99c622b48fd21616d'],
  ['IMAGE', `registry/shop@sha256:${hex(64)}`],
  ['REQUEST_UUID', '6f1c1f0e-6f0b-4a52-9d3f-0a52f3ac21de'],
  ['HOSTNAME', 'shop-7c9d8bd4f5-x2x9k'],
  ['PYTHONHASHSEED', '0'],
  ['RANDOM_SEED', '42'],
  ['NO_PROXY', 'localhost,10.0.0.0/8'],
  ['HTTP_PROXY', 'http://proxy:3128'],
  ['REDIS_URL', 'redis://cache:6379/0'],
  ['JAVA_OPTS', '-Xmx1g -Dfile.encoding=UTF-8'],
  ['PS1', '\\u@\\h:\\w\\$ '],
  ['LANG', 'de_DE.UTF-8'],
  ['EDITOR', 'vim'],
  ['CELERY_TASK_ID', 'd9b2d63d-a233-4123-847a-7090e8f2a1f4'],
  ['PARTITION_KEYS', 'id,day'],
  ['SORT_KEY', 'created_at'],
  ['AWS_ACCESS', 'AKIAIOSFODNN7EXAMPLE'],
  ['BYPASS', 'cache'],
  ['MONKEY', 'business'],
  ['PASSENGERS', '7'],
];

test('secrets in an environment are masked by name or value, and decoys are not', () => {
  assert.ok(secrets.length >= 40 && harmless.length >= 40);
  const answer = askRecorder(
    'answer = [[probe.secret_reason(*pair) for pair in pairs] for pairs in given]',
    [secrets, harmless],
  ) as (string | null)[][];
  const missed = secrets.filter((_, index) => answer[0]?.[index] === null);
  assert.deepEqual(missed, []);
  const wronged = harmless.filter((_, index) => answer[1]?.[index] !== null);
  assert.deepEqual(wronged, []);
});

test('a masked value keeps its length and a keyed hash, and learnt secrets are masked elsewhere', () => {
  const answer = askRecorder(
    `import hmac, hashlib
redactor = probe.Redactor('00' * 16)
env = {'DB_PASSWORD': 'hunter2', 'COPY': 'a hunter2 b', 'PLAIN': 'b',
       'POSTGRES_PASSWORD': 'postgres', 'USER': 'postgres', 'HOME': '/var/lib/postgres'}
redactor.learn_environment(env)
answer = [redactor.env(env), redactor.text('hunter2 fails at /var/lib/postgres for postgres'),
          redactor.argv(['psql', '-U', 'postgres', 'x=hunter2']), redactor.everywhere(['postgres', 'hunter2']),
          hmac.new(b'00' * 16, b'hunter2', hashlib.sha256).hexdigest()[:8]]`,
    null,
  ) as [Record<string, unknown>, string, string[], string[], string];
  const [env, text, argv, everywhere, hash] = answer;
  assert.deepEqual(env['DB_PASSWORD'], { redacted: true, reason: 'name', length: 7, hash });
  assert.equal((env['COPY'] as { reason: string }).reason, 'value');
  // A secret that is an ordinary word is masked alone and in prose only: it is also a user's name.
  assert.deepEqual(
    [env['PLAIN'], env['USER'], env['HOME']],
    ['b', 'postgres', '/var/lib/postgres'],
  );
  assert.match(text, /^‹redacted:\w{8}› fails at \/var\/lib\/postgres for ‹redacted:\w{8}›$/);
  assert.deepEqual(argv, ['psql', '-U', 'postgres', `x=‹redacted:${hash}›`]);
  assert.deepEqual(everywhere, ['postgres', `‹redacted:${hash}›`]);
});

test('secrets in texts are masked and the rest of the text stays', () => {
  const cases: readonly (readonly [text: string, shown: string])[] = [
    ['GET https://me:pw1234@host/x failed', 'GET https://me:*@host/x failed'],
    ['Authorization: Bearer abc.def-123456789', 'Authorization: Bearer *'],
    ['"password": "hunter2"', '"password": "*"'],
    ['run with --password hunter2 now', 'run with --password * now'],
    ['run with --db-token=abc123xyz now', 'run with --db-token=* now'],
    ['mysql -u root -phunter2 shop', 'mysql -u root -p* shop'],
    ['sshpass -p hunter2 ssh x', 'sshpass -p * ssh x'],
    ['curl -u me:hunter2 http://x', 'curl -u me:* http://x'],
    ['password: required', 'password: required'],
    ["KeyError: 'token'", "KeyError: 'token'"],
    ['unexpected token: foo', 'unexpected token: foo'],
    ['http://host:8080/path?mail=a@b.c', 'http://host:8080/path?mail=a@b.c'],
    ['the secret is out', 'the secret is out'],
  ];
  const answer = askRecorder(
    `redactor = probe.Redactor('00' * 16)
answer = [redactor.text(text) for text in given]`,
    cases.map(([text]) => text),
  ) as string[];
  const shown = answer.map((text) => text.replace(/‹redacted:[0-9a-f]{8}›/g, '*'));
  assert.deepEqual(
    shown,
    cases.map(([, expected]) => expected),
  );
});

test('secrets in arguments are masked and everything else can be run again', () => {
  const cases: readonly (readonly [argv: readonly string[], shown: readonly string[]])[] = [
    [
      ['app', '--password', 'hunter2', 'x'],
      ['app', '--password', '*', 'x'],
    ],
    [
      ['app', '--token=abc', '--port=80'],
      ['app', '--token=*', '--port=80'],
    ],
    [
      ['app', '--dbPassword=abc'],
      ['app', '--dbPassword=*'],
    ],
    [
      ['env', 'API_TOKEN=abc', 'A=b', 'app'],
      ['env', 'API_TOKEN=*', 'A=b', 'app'],
    ],
    [
      ['mysql', '-uroot', '-phunter2'],
      ['mysql', '-uroot', '-p*'],
    ],
    [
      ['app', '-phunter2'],
      ['app', '-phunter2'],
    ],
    [
      ['sshpass', '-p', 'hunter2', 'ssh'],
      ['sshpass', '-p', '*', 'ssh'],
    ],
    [
      ['curl', '-u', 'me:hunter2', 'x'],
      ['curl', '-u', 'me:*', 'x'],
    ],
    [
      ['curl', 'https://me:hunter2@x/'],
      ['curl', 'https://me:*@x/'],
    ],
    [
      ['app', '--password-stdin', 'x'],
      ['app', '--password-stdin', 'x'],
    ],
    [
      ['app', '--no-password', 'x'],
      ['app', '--no-password', 'x'],
    ],
    [
      ['app', '--private-key', '/etc/key.pem'],
      ['app', '--private-key', '/etc/key.pem'],
    ],
    [
      ['app', '--password-file=/run/pw'],
      ['app', '--password-file=/run/pw'],
    ],
    [
      ['app', '--max-tokens', '100'],
      ['app', '--max-tokens', '100'],
    ],
    [
      ['app', '--auth', 'file'],
      ['app', '--auth', 'file'],
    ],
    [
      ['app', '--token', '--verbose'],
      ['app', '--token', '--verbose'],
    ],
  ];
  const answer = askRecorder(
    `answer = [probe.Redactor('00' * 16).argv(argv) for argv in given]`,
    cases.map(([argv]) => argv),
  ) as string[][];
  const shown = answer.map((argv) =>
    argv.map((arg) => arg.replace(/‹redacted:[0-9a-f]{8}›/g, '*')),
  );
  assert.deepEqual(
    shown,
    cases.map(([, expected]) => expected),
  );
});

test('no pattern is slow on a hostile text of 64 KiB', () => {
  const attacks = [
    'key',
    'eyJ-',
    'a://',
    'password=',
    '--',
    'sk-',
    '-----BEGIN ',
    'token:',
    'mysql ',
    '.',
  ];
  const slowest = askRecorder(
    `import time
times = []
for attack in given:
    text = attack * ((64 << 10) // len(attack))
    start = time.process_time()
    probe.Redactor('00' * 16).text(text)
    times.append([time.process_time() - start, attack])
answer = max(times)`,
    attacks,
  ) as [number, string];
  assert.ok(slowest[0] < 0.5, `"${slowest[1]}" took ${slowest[0]} s`);
});
