// Made-up secrets of every kind that has to be masked (reliability.md, appendix A), and harmless look-alikes. Made
// at run time, so that no file of ours holds anything of a secret's shape.

/** Letters and digits that look random and are the same in every run. */
function noise(alphabet: string, length: number, seed: number): string {
  let state = seed * 2654435761 + 12345;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return alphabet[(state >>> 8) % alphabet.length];
  }).join('');
}

const lower = 'abcdefghijklmnopqrstuvwxyz';
const upper = lower.toUpperCase();
const digits = '0123456789';
const base32 = `${upper}234567`;
const mixed = lower + upper + digits;

let seed = 1;
const alnum = (length: number): string => `${noise(mixed, length - 2, seed++)}a7`;
const hex = (length: number): string => `${noise('0123456789abcdef', length - 2, seed++)}c5`;
const caps = (length: number): string => noise(base32, length, seed++);
const number = (length: number): string => noise('123456789', length, seed++);

export interface SecretSample {
  readonly kind: string;
  /** A text that holds the secret, as a log line or a value. */
  readonly text: string;
  /** The part that nobody may see. */
  readonly secret: string;
}

function sample(
  kind: string,
  secret: string,
  text: (secret: string) => string = (s) => s,
): SecretSample {
  return { kind, secret, text: text(secret) };
}

const pemBody = `${alnum(64)}\n${alnum(64)}`;
const pem = (label: string, body: string, newline: string): string =>
  [`-----BEGIN ${label}-----`, ...body.split('\n'), `-----END ${label}-----`].join(newline);

/** Given away by their value alone. */
export const secretsByValue: readonly SecretSample[] = [
  sample('aws-access-token', `AKIA${caps(16)}`),
  sample('aws-secret-key', alnum(40), (s) => `aws_secret_access_key=${s}`),
  sample('aws-session-token', alnum(120), (s) => `aws_session_token=${s}`),
  sample('gcp-api-key', `AIza${alnum(35)}`),
  sample(
    'gcp-service-account',
    pem('PRIVATE KEY', pemBody, '\\n'),
    (s) => `{"private_key": "${s}"}`,
  ),
  sample('azure-ad-client-secret', `${alnum(3)}8Q~${alnum(34)}`, (s) => `secret is ${s}`),
  sample('azure-account-key', `${alnum(86)}==`, (s) => `AccountName=shop;AccountKey=${s};`),
  sample('azure-sas', alnum(43), (s) => `https://x.blob.core.windows.net/c?sv=2022&sig=${s}`),
  sample('github-pat', `ghp_${alnum(36)}`),
  sample('github-fine-grained', `github_pat_${alnum(22)}_${alnum(59)}`),
  sample('github-oauth', `gho_${alnum(36)}`),
  sample('github-app', `ghs_${alnum(36)}`),
  sample('github-refresh', `ghr_${alnum(40)}`),
  sample('gitlab-pat', `glpat-${alnum(20)}`),
  sample('gitlab-runner', `glrt-${alnum(20)}`),
  sample('bitbucket', `ATBB${alnum(32)}`),
  sample('npm', `npm_${alnum(36)}`),
  sample('pypi', `pypi-AgE${alnum(80)}`),
  sample('rubygems', `rubygems_${hex(48)}`),
  sample('slack-bot', `xoxb-${number(12)}-${number(12)}-${alnum(24)}`),
  sample('slack-user', `xoxp-${number(12)}-${number(12)}-${alnum(32)}`),
  sample('slack-app', `xapp-1-A${caps(10)}-${number(13)}-${hex(64)}`),
  sample(
    'slack-webhook',
    `T${caps(8)}/B${caps(8)}/${alnum(24)}`,
    (s) => `https://hooks.slack.com/services/${s}`,
  ),
  sample('discord', `M${alnum(23)}.${alnum(6)}.${alnum(27)}`),
  sample('telegram', `${number(9)}:AA${alnum(33)}`),
  sample('stripe', `sk_live_${alnum(24)}`),
  sample('square', `sq0atp-${alnum(22)}`),
  sample('shopify', `shpat_${hex(32)}`),
  sample('twilio', `SK${hex(32)}`),
  sample('sendgrid', `SG.${alnum(22)}.${alnum(43)}`),
  sample('mailchimp', `${hex(32)}-us12`),
  sample('mailgun', `key-${hex(32)}`),
  sample('openai', `sk-proj-${alnum(48)}`),
  sample('anthropic', `sk-ant-api03-${alnum(80)}`),
  sample('huggingface', `hf_${alnum(34)}`),
  sample('databricks', `dapi${hex(32)}`),
  sample('digitalocean', `dop_v1_${hex(64)}`),
  sample('terraform', `${alnum(14)}.atlasv1.${alnum(64)}`),
  sample('vault', `hvs.${alnum(90)}`),
  sample('grafana', `glsa_${alnum(32)}_${hex(8)}`),
  sample('datadog', hex(32), (s) => `dd-api-key: ${s}`),
  sample('sentry', `sntryu_${hex(64)}`),
  sample('pem', pem('RSA PRIVATE KEY', pemBody, '\n')),
  sample('pem-openssh', pem('OPENSSH PRIVATE KEY', pemBody, '\n')),
  sample('pem-pgp', pem('PGP PRIVATE KEY BLOCK', pemBody, '\n')),
  sample('age', `AGE-SECRET-KEY-1${caps(58)}`),
  sample('jwt', `eyJ${alnum(30)}.eyJ${alnum(60)}.${alnum(43)}`),
  sample('url-password', alnum(12), (s) => `postgres://shop:${s}@store-1:5432/shop`),
  sample('authorization-bearer', alnum(32), (s) => `Authorization: Bearer ${s}`),
  sample('authorization-basic', alnum(24), (s) => `"authorization": "Basic ${s}"`),
  sample('curl-user', alnum(12), (s) => `curl -u shop:${s} https://store-1/`),
  sample('option-password', alnum(12), (s) => `import --password ${s} --all`),
  sample('sshpass', alnum(12), (s) => `sshpass -p ${s} ssh store-1`),
  sample('mysql', alnum(12), (s) => `mysql -h store-1 -p${s} shop`),
  sample('connection-string', alnum(12), (s) => `Server=store-1;Uid=shop;Password=${s};`),
  sample('field', alnum(16), (s) => `login failed: password=${s} user=shop`),
];

/** Given away by the variable's name: [kind, names]. */
export const secretNames: readonly (readonly [string, readonly string[]])[] = [
  [
    'password',
    [
      'DB_PASSWORD',
      'dbPassword',
      'db.password',
      'DB-PASSWD',
      'MYSQL_PWD',
      'PGPASSWORD',
      'KEY_PASSPHRASE',
    ],
  ],
  ['secret', ['CLIENT_SECRET', 'clientSecret', 'SECRET_KEY_BASE', 'MY_SECRET']],
  ['token', ['GITHUB_TOKEN', 'accessToken', 'TOKEN', 'PAYMENT_API_TOKEN']],
  ['api-key', ['API_KEY', 'apikey', 'OPENAI_API_KEY', 'X-Api-Key']],
  ['access-key', ['AWS_ACCESS_KEY', 'ACCESS_KEY_ID', 'accessKey']],
  ['private-key', ['PRIVATE_KEY', 'JWT_PRIVATE_KEY', 'privateKey']],
  ['credentials', ['AWS_CREDENTIALS', 'DB_CREDS', 'credential']],
  ['auth', ['BASIC_AUTH', 'AUTHORIZATION', 'PROXY_AUTHORIZATION', 'npm_config__auth']],
  ['dsn', ['SENTRY_DSN', 'DATABASE_URL', 'DB_CONNECTION_STRING']],
  ['session', ['SESSION_ID', 'COOKIE', 'SESSION_KEY', 'sessionid']],
  ['keys', ['SIGNING_KEY', 'ENCRYPTION_KEY', 'HMAC_KEY', 'MASTER_KEY', 'LICENSE_KEY']],
  ['otp', ['PASSWORD_SALT', 'WALLET_MNEMONIC', 'OTP', 'TOTP_SECRET', 'TWO_FACTOR_CODE']],
  ['webhook', ['WEBHOOK_URL', 'SLACK_WEBHOOK']],
];

/** Variables that must stay readable: [name, value]. */
export const harmlessVariables: readonly (readonly [string, string])[] = [
  ['PATH', '/usr/local/bin:/usr/bin:/bin'],
  ['PWD', '/srv/shop'],
  ['OLDPWD', '/srv'],
  ['AUTHOR', 'Ada Lovelace'],
  ['GIT_AUTHOR_NAME', 'Ada Lovelace'],
  ['KEYBOARD', 'de-latin1'],
  ['MONKEY', 'banana'],
  ['TOKENIZERS_PARALLELISM', 'false'],
  ['MAX_TOKENS', '4096'],
  ['PROMPT_TOKEN_COUNT', '12'],
  ['SSH_AUTH_SOCK', '/tmp/ssh-XXXXabcd/agent.1234'],
  ['XAUTHORITY', '/home/app/.Xauthority'],
  ['XDG_SESSION_ID', '3'],
  ['DESKTOP_SESSION', 'gnome'],
  ['DBUS_SESSION_BUS_ADDRESS', 'unix:path=/run/user/1000/bus'],
  ['PYTHONHASHSEED', '0'],
  ['GOOGLE_APPLICATION_CREDENTIALS', '/etc/shop/google.json'],
  ['TOKEN_FILE', '/run/secrets/token'],
  ['GIT_COMMIT', '3fa9c1d27b1e4c5d8f90a1b2c3d4e5f60718293a'],
  ['IMAGE', `registry.example/shop@sha256:${'3fa9c1d2'.repeat(8)}`],
  ['BUILD_ID', '3fa9c1d2-7b1e-4c5d-8f90-a1b2c3d4e5f6'],
  ['INVOCATION_ID', '3fa9c1d27b1e4c5d8f90a1b2c3d4e5f6'],
  ['POD', 'shop-worker-7d9f8b6c5d-x2x4z'],
  ['LS_COLORS', 'rs=0:di=01;34:ln=01;36:mh=00:pi=40;33:*.tar=01;31'],
  ['CHECKSUM', 'd41d8cd98f00b204e9800998ecf8427e'],
  ['LOGO', `data:image/png;base64,iVBORw0KGgo${'A'.repeat(40)}`],
  ['DB_PASSWORD', `${'$'}{DB_PASSWORD}`],
  ['API_KEY', 'xxxxxxxx'],
  ['CLIENT_SECRET', '<redacted>'],
  ['TARIFF_REGION', 'eu-central'],
  ['SHOP_STORE_URL', 'http://10.231.1.15:7461'],
  ['LANG', 'C.UTF-8'],
];

/** Lines that must stay as they are. */
export const harmlessLines: readonly string[] = [
  '2026-11-22 06:17:54,123 - shop.worker - 120 - INFO - req-3fa9c1d2 - settle order 7 in 12.5 ms',
  '{"level":30,"time":1795328274123,"pid":7,"msg":"request completed","reqId":"req-3fa9c1d2"}',
  'ts=2026-11-22T06:17:54.123Z level=info msg="stored parcel" id=3fa9c1d2-7b1e-4c5d-8f90-a1b2c3d4e5f6',
  'Merge commit 3fa9c1d27b1e4c5d8f90a1b2c3d4e5f60718293a into main',
  'SyntaxError: unexpected token: expected ")"',
  'the password is required',
  'aws key AKIAIOSFODNN7EXAMPLE is from the manual',
  'GET https://store-1:7461/parcels/7?page=2 200 12ms',
  '.sk-cube-grid .sk-cube { animation: sk-grid 1.3s infinite }',
  'File "/srv/shop/tariff.py", line 36, in tariff_settings',
];
