// The key of the hashes that stand for secrets. It belongs to one user: equal hashes in two snapshots mean
// equal secrets, and a snapshot alone does not let anybody try passwords against it.

import { createHmac, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { encodeText } from '../remote/command.ts';

export interface RedactionKey {
  /** Hex digits. To be kept where only its user can read it. */
  readonly secret: string;
  /** 8 hex digits that tell keys apart without telling the key. */
  readonly id: string;
}

export function redactionKey(secret: string): RedactionKey {
  return { secret, id: hmac(secret, 'faultline redaction key') };
}

export function createRedactionKey(): RedactionKey {
  return redactionKey(randomBytes(32).toString('hex'));
}

/**
 * First 8 hex digits of HMAC-SHA256(key, value), keyed by the key's hex digits as ASCII; the value as the
 * bytes it had on the node. The recorder does the same with a record's salt, so a snapshot taken with
 * `redactionKey(salt)` tells whether a secret is still the recorded one.
 */
export function hashSecret(value: string, key: RedactionKey): string {
  return hmac(key.secret, encodeText(value));
}

function hmac(secret: string, value: string | Buffer): string {
  return createHmac('sha256', secret).update(value).digest('hex').slice(0, 8);
}

/** Where the command `faultline` keeps what is the user's: `$XDG_STATE_HOME/faultline`. */
export function userStateDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const base = env.XDG_STATE_HOME;
  return join(
    base !== undefined && base.startsWith('/') ? base : join(homedir(), '.local', 'state'),
    'faultline',
  );
}

/** The command's key: a file for its user alone, made on first use. Errors: `env.keyUnusable`. */
export function loadOrCreateKey(directory: string): RedactionKey {
  const file = join(directory, 'redaction.key');
  if (!existsSync(file)) createKeyFile(directory, file);
  return readKey(file);
}

/** Never seen half written; when two commands make it at once, the first one's stays. */
function createKeyFile(directory: string, file: string): void {
  const unfinished = `${file}.${randomBytes(4).toString('hex')}`;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(unfinished, `${createRedactionKey().secret}\n`, { flag: 'wx', mode: 0o600 });
    linkSync(unfinished, file);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw unusable(file, cause);
  } finally {
    rmSync(unfinished, { force: true });
  }
}

function readKey(file: string): RedactionKey {
  let text: string;
  try {
    text = readFileSync(file, 'latin1').trim();
    // Whoever opened it to others did so by accident; on Windows the mode says nothing.
    chmodSync(file, 0o600);
  } catch (cause) {
    throw unusable(file, cause);
  }
  if (!/^[0-9a-f]{64}$/.test(text)) throw unusable(file, undefined);
  return redactionKey(text);
}

function unusable(file: string, cause: unknown): UserError {
  const why = cause instanceof Error ? cause.message : 'it does not hold a key';
  return new UserError(
    'env.keyUnusable',
    `The key for masked values, ${file}, cannot be used: ${why}.`,
    {
      hint: 'Remove it and a new one is made; hashes in older snapshots then compare as unknown.',
      cause,
    },
  );
}
