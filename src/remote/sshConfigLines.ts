// ssh configuration files as lines: what stands where, before anybody asks what it means for a host.
//
// Lines are split as OpenSSH's misc.c does it (strdelim, argv_split), files are found as glob(3) does it. The package
// ssh-config writes configurations (addNode.ts); as a reader it knows no single quotes and no escapes, loses the
// lines' numbers, and throws at lines that ssh takes, e.g. `Match !all`.

import { open, readdir, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join, parse as parsePath } from 'node:path';
import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import { matchesPattern } from './knownHosts.ts';

/** `keyword value …` and where it stands. All text is bytes as Latin-1: a file need not be UTF-8. */
export interface ConfigLine {
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** In lower case. */
  readonly keyword: string;
  /** Everything after the keyword and its `=`, without the space around it. Empty when there is nothing. */
  readonly value: string;
}

/** ssh has no limit; no person has written a file this long. */
const maxFileBytes = 16 << 20;
/** Deepest Include chain that OpenSSH follows. */
export const maxIncludeDepth = 16;

/** `file:line`, with `~` for the home directory. */
export function placeOf({ file, line }: Pick<ConfigLine, 'file' | 'line'>): string {
  const home = userInfo().homedir;
  return `${file.startsWith(`${home}/`) ? `~${file.slice(home.length)}` : file}:${line}`;
}

export function invalidLine(line: Pick<ConfigLine, 'file' | 'line'>, reason: string): UserError {
  return new UserError(
    'ssh.configInvalid',
    `The ssh configuration cannot be used: ${placeOf(line)}: ${toDisplay(reason, 300)}.`,
    {
      hint: 'Correct that line, then refresh the nodes.',
    },
  );
}

/** The directives of one file; a missing one has none. Errors: `ssh.configUnreadable`. */
export async function readConfigLines(file: string): Promise<ConfigLine[]> {
  const text = await readBytes(file);
  return text.split('\n').flatMap((line, index) => readLine(line, { file, line: index + 1 }) ?? []);
}

/** The file's text as Latin-1, so that no byte is lost. */
async function readBytes(file: string): Promise<string> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      if (size > maxFileBytes) throw new Error(`larger than ${maxFileBytes >> 20} MiB`);
      return await handle.readFile('latin1');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isMissing(error)) return '';
    const reason = error instanceof Error && !('code' in error) ? ` (${error.message})` : '';
    throw new UserError(
      'ssh.configUnreadable',
      `The ssh configuration ${file} cannot be read${reason}.`,
      {
        hint: 'Check that it is a file you may read.',
        cause: error,
      },
    );
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(ENOENT|ENOTDIR)$/.test(String(error.code));
}

/** Undefined for an empty line and a comment. */
function readLine(text: string, place: Pick<ConfigLine, 'file' | 'line'>): ConfigLine | undefined {
  // OpenSSH's lines are C strings: a NUL ends one.
  const whole = text.split('\0', 1)[0]!.replace(/[ \t\r\f]+$/, '');
  const [, keyword = '', value = ''] =
    /^[ \t\r]*"?([^ \t\r"=#][^ \t\r"=]*)"?[ \t\r]*=?[ \t\r]*(.*)$/s.exec(whole) ?? [];
  if (keyword === '') return undefined;
  return { ...place, keyword: keyword.toLowerCase(), value };
}

/**
 * The words of a value, as OpenSSH splits them: quotes of both kinds, `\` before a quote, a `\` or a space, and a
 * `#` at the start of a word ends the line. Undefined when a quote is not closed.
 */
export function splitWords(value: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let i = 0; i < value.length; i++) {
    const char = value[i]!;
    const next = value[i + 1] ?? '';
    const isGap = quote === '' && (char === ' ' || char === '\t');
    if (isGap) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (word === undefined && char === '#') {
      break;
    } else if (
      char === '\\' &&
      next !== '' &&
      ('\'"\\'.includes(next) || (quote === '' && next === ' '))
    ) {
      word = (word ?? '') + next;
      i++;
    } else if (quote === '' && (char === '"' || char === "'")) {
      word ??= '';
      quote = char;
    } else if (char === quote) {
      quote = '';
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote !== '') return undefined;
  if (word !== undefined) words.push(word);
  return words;
}

/** What stood in the file as bytes, as text. */
export function decode(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8');
}

/** `~` and `~/…` as ssh means them: the home directory of the account, whatever $HOME says. */
export function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(userInfo().homedir, path.slice(1)) : path;
}

/** The files an absolute path with `*`, `?` and `[…]` stands for, sorted, as glob(3) does for Include. */
export async function expandGlob(path: string): Promise<string[]> {
  const { root } = parsePath(path);
  let found = [root];
  let isGlob = false;
  for (const segment of path.slice(root.length).split('/')) {
    if (segment === '') continue;
    if (!/[*?[]/.test(segment)) {
      found = found.map((parent) => join(parent, segment));
      continue;
    }
    isGlob = true;
    const matches = segmentMatcher(segment);
    const lists = await Promise.all(
      found.map(async (parent) => {
        // A directory that is missing or unreadable holds no match, as for glob(3).
        const names = await readdir(parent).catch(() => []);
        return names
          .filter((name) => name.startsWith('.') === segment.startsWith('.') && matches(name))
          .sort()
          .map((name) => join(parent, name));
      }),
    );
    found = lists.flat();
  }
  if (!isGlob) return found;
  const exist = await Promise.all(found.map((file) => stat(file).catch(() => undefined)));
  return found.filter((_, index) => exist[index] !== undefined);
}

function segmentMatcher(segment: string): (name: string) => boolean {
  if (!segment.includes('[')) return (name) => matchesPattern(name, segment);
  const source = segment.replace(/\[[!^]?\]?[^\]]*\]|[^]/g, (part) => {
    if (part === '*') return '.*';
    if (part === '?') return '.';
    if (part.length === 1) return part.replace(/[\\^$.*+?()[\]{}|]/, '\\$&');
    const isNegated = part[1] === '!' || part[1] === '^';
    const members = part.slice(isNegated ? 2 : 1, -1).replace(/[\\\]^]/g, '\\$&');
    return `[${isNegated ? '^' : ''}${members}]`;
  });
  try {
    const pattern = new RegExp(`^${source}$`, 's');
    return (name) => pattern.test(name);
  } catch {
    // An impossible range such as `[z-a]` matches nothing, as for glob(3).
    return () => false;
  }
}
