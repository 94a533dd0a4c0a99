// Secrets are masked here before anything is stored or shown: values of variables, words of a command
// line, running text. The same rules as the recorder's on the node (see secretPatterns.ts): what is a
// secret in a run record is one in a snapshot.

import { encodeText } from '../remote/command.ts';
import type { EnvValue, RedactedValue, Variables } from './envSnapshot.ts';
import { hashSecret, type RedactionKey } from './redactionKey.ts';
import { secretRules, type SecretRules } from './secretPatterns.ts';

/** Why a variable's value is masked, or undefined when it is not. */
export function secretReason(
  name: string,
  value: string,
  rules: SecretRules = secretRules(),
): RedactedValue['reason'] | undefined {
  if (isSecretName(name, value, rules)) return 'name';
  return findSecrets(value, rules).length > 0 ? 'value' : undefined;
}

/**
 * All variables, secret ones as what is left of them. A value that holds the secret of another variable
 * (`CONNECTION` beside `DB_PASSWORD`) is masked as well.
 */
export function redactEnv(
  variables: Readonly<Record<string, string>>,
  key: RedactionKey,
  rules: SecretRules = secretRules(),
): Variables {
  const classified = Object.entries(variables).map(([name, value]) => ({
    name,
    value,
    reason: secretReason(name, value, rules),
  }));
  const known = classified
    .filter(({ reason }) => reason === 'name')
    .flatMap(({ value }) => spellings(value))
    .filter(isDistinctive);
  const holdsKnown = (value: string): boolean => known.some((secret) => value.includes(secret));
  // From entries: a variable may be called `__proto__`.
  return Object.fromEntries(
    classified.map(({ name, value, reason }): [string, EnvValue] => {
      const why = reason ?? (holdsKnown(value) ? 'value' : undefined);
      return [name, why === undefined ? value : maskValue(value, why, key)];
    }),
  );
}

function spellings(secret: string): string[] {
  // A lone surrogate, which stands for a byte that is not UTF-8, cannot be encoded.
  return /[\ud800-\udfff]/u.test(secret) ? [secret] : [secret, encodeURIComponent(secret)];
}

/** A short or plain word (`postgres`) would mask harmless values that happen to hold it. */
function isDistinctive(secret: string): boolean {
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^A-Za-z0-9]/].filter((kind) => kind.test(secret));
  return secret.length >= 16 || (secret.length >= 8 && kinds.length >= 2);
}

function maskValue(
  value: string,
  reason: RedactedValue['reason'],
  key: RedactionKey,
): RedactedValue {
  return { redacted: true, reason, length: encodeText(value).length, hash: hashSecret(value, key) };
}

/** The mark that stands for a secret inside text, the recorder's too. It is not taken for a secret again. */
function mark(secret: string, key: RedactionKey): string {
  return `‹redacted:${hashSecret(secret, key)}›`;
}

/** How a masked value is shown, e.g. `‹redacted 14 bytes #1a2b3c4d›`. */
export function describeRedacted(value: Pick<RedactedValue, 'length' | 'hash'>): string {
  return `‹redacted ${value.length} ${value.length === 1 ? 'byte' : 'bytes'} #${value.hash}›`;
}

/** Running text (a log line, an error, a traceback) with each secret in it replaced by its mark. */
export function redactText(
  text: string,
  key: RedactionKey,
  rules: SecretRules = secretRules(),
): string {
  const found = findSecrets(text, rules);
  if (found.length === 0) return text;
  const parts: string[] = [];
  let at = 0;
  for (const { start, end } of found) {
    parts.push(text.slice(at, start), mark(text.slice(start, end), key));
    at = end;
  }
  parts.push(text.slice(at));
  return parts.join('');
}

/** The words of a command line with secrets masked, also those that only the option before them tells. */
export function redactArgv(
  argv: readonly string[],
  key: RedactionKey,
  rules: SecretRules = secretRules(),
): string[] {
  const program = (argv[0] ?? '').split('/').at(-1) ?? '';
  let previous: Word = { secretFrom: undefined, nextPart: undefined };
  return argv.map((text, index) => {
    const part = previous.nextPart;
    const word =
      part === undefined
        ? readWord(text, argv[index + 1], index === 0 ? undefined : program, rules)
        : { secretFrom: part === 'all' ? 0 : afterColon(text, 0), nextPart: undefined };
    previous = word;
    const from = word.secretFrom ?? text.length;
    const shown = redactText(text.slice(0, from), key, rules);
    return from < text.length ? shown + mark(text.slice(from), key) : shown;
  });
}

type Part = 'all' | 'afterColon';

interface Word {
  /** Where in this word a secret begins that reaches to its end. */
  readonly secretFrom: number | undefined;
  /** Which part of the next word is a secret. */
  readonly nextPart: Part | undefined;
}

/** One word of a command line. `program` is undefined for the program's own name. */
function readWord(
  word: string,
  next: string | undefined,
  program: string | undefined,
  rules: SecretRules,
): Word {
  const known = program === undefined ? undefined : readKnownOption(word, program, rules);
  if (known !== undefined) return known;
  const pair = /^(-{0,2})([A-Za-z_][\w.-]{0,200})=/.exec(word);
  if (pair !== null) {
    const [prefix, dashes, name = ''] = pair;
    const value = word.slice(prefix.length);
    const isSecret = dashes === '' ? isSecretName : isSecretOption;
    return {
      secretFrom: isSecret(name, value, rules) ? prefix.length : undefined,
      nextPart: undefined,
    };
  }
  const isBefore =
    next !== undefined &&
    !next.startsWith('-') &&
    /^--?[A-Za-z][\w-]{1,200}$/.test(word) &&
    isSecretOption(word.replace(/^-+/, ''), next, rules);
  return { secretFrom: undefined, nextPart: isBefore ? 'all' : undefined };
}

/** An option that the table knows of this program, e.g. `-p` of sshpass. */
function readKnownOption(word: string, program: string, rules: SecretRules): Word | undefined {
  for (const { programs, option, form, part } of rules.argvOptions) {
    if (!programs.includes(program) || !word.startsWith(option)) continue;
    const isLong = option.startsWith('--');
    if (word === option) {
      if (form === 'any') return { secretFrom: undefined, nextPart: part };
    } else if (!isLong || word[option.length] === '=') {
      const from = option.length + (isLong ? 1 : 0);
      return { secretFrom: part === 'all' ? from : afterColon(word, from), nextPart: undefined };
    }
  }
  return undefined;
}

function afterColon(word: string, from: number): number | undefined {
  const colon = word.indexOf(':', from);
  return colon < 0 ? undefined : colon + 1;
}

/** Options: only strong words count, as `--auth` or `--session` are as often switches. */
function isSecretOption(option: string, value: string, rules: SecretRules): boolean {
  const name = normaliseName(option);
  if (rules.argvHarmlessName.test(name) || rules.harmlessName.test(name)) return false;
  if (!rules.argvSecretName.test(name) || rules.harmlessValue.test(value)) return false;
  return !(/key|cred/.test(name) && rules.pathValue.test(value));
}

function isSecretName(name: string, value: string, rules: SecretRules): boolean {
  const plain = normaliseName(name);
  if (rules.harmlessValue.test(value) || rules.harmlessName.test(plain)) return false;
  if (rules.pathName.test(plain) && rules.pathValue.test(value)) return false;
  if (rules.secretName.test(plain)) return true;
  return rules.looseName.test(plain) && rules.looseValue.test(value);
}

/** `dbPassword`, `DB-PASSWORD` and `db.password` are one name: lower-case words joined by underscores. */
export function normaliseName(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/^_|_$/g, '')
    .toLowerCase();
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Where secrets are in a text, in order and without overlaps. */
function findSecrets(text: string, rules: SecretRules): readonly Span[] {
  const found: Span[] = [];
  for (const { pattern } of rules.values.find(text.toLowerCase())) {
    for (const match of text.matchAll(pattern)) {
      const [start, end] = match.indices?.[1] ?? match.indices?.[0] ?? [0, 0];
      if (!rules.decoyValue.test(text.slice(start, end))) found.push({ start, end });
    }
  }
  return found.length < 2 ? found : joinOverlapping(found);
}

/** Overlapping spans become one, so that no part of a secret is left between two marks. */
function joinOverlapping(spans: readonly Span[]): readonly Span[] {
  const joined: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    const last = joined.at(-1);
    if (last !== undefined && span.start < last.end) {
      joined[joined.length - 1] = { start: last.start, end: Math.max(last.end, span.end) };
    } else joined.push(span);
  }
  return joined;
}
