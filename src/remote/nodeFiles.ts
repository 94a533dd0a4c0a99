// Files of a node, read only: what a source view and a file tree ask for, and the address such a file has
// in an editor (`faultline://node/path`).

import { isUtf8 } from 'node:buffer';
import { UserError } from '../base/errors.ts';
import { toDisplay } from '../base/displayText.ts';
import { encodeText } from './command.ts';
import type { ExecOptions, ExecResult, Shell } from './shell.ts';

/**
 * An absolute path on a node. Bytes that are not UTF-8 are lone surrogates U+DC80–U+DCFF, as in Python.
 */
export type NodePath = string;

/** `other` is a device, a pipe, a socket: nothing that can be read to an end. `missing` is a broken link. */
export type NodeFileKind = 'file' | 'directory' | 'other' | 'missing';

export interface NodeFile {
  /** What a link leads to, or the file itself. */
  readonly kind: NodeFileKind;
  readonly isLink: boolean;
}

export interface NodeFileStat extends NodeFile {
  /** In bytes, as the node states it: 0 for the files of /proc, whatever they hold. */
  readonly size: number;
  /** Last change in whole seconds since the epoch by the node's clock; 0 when it could not be told. */
  readonly modifiedAt: number;
}

/** A part of a file as it was at one moment. */
export interface NodeFilePart {
  readonly bytes: Buffer;
  /** Where the part begins. */
  readonly offset: number;
  /** Of the whole file, in bytes, as the node states it. */
  readonly size: number;
}

/** A file as it is watched: any change of it changes the text. Undefined when there is none, or none to see. */
export type NodeFileVersion = string | undefined;

export interface NodeDirectoryEntry extends NodeFile {
  readonly name: string;
}

/** Largest file that is read, in bytes. */
export const maxFileBytes = 32 << 20;
const maxListingBytes = 16 << 20;

/** What a link leads to is described, except for a link that leads nowhere. */
export async function statFile(
  shell: Shell,
  path: NodePath,
  signal?: AbortSignal,
): Promise<NodeFileStat> {
  const options = { title: 'Describe a file', timeoutMs: 10_000 };
  const { stdout } = await run(shell, statScript, path, [], options, signal);
  const [, flags = '', size, modifiedAt] = /^(\S\S) (\d+) (-?\d+)/.exec(stdout.toString()) ?? [];
  return { ...fileOf(flags, path), size: Number(size), modifiedAt: Number(modifiedAt) };
}

/** Everything in the directory except `.` and `..`, in the order of the names' bytes. */
export async function listDirectory(
  shell: Shell,
  path: NodePath,
  signal?: AbortSignal,
): Promise<readonly NodeDirectoryEntry[]> {
  const options = {
    title: 'List a directory',
    timeoutMs: 20_000,
    maxOutputBytes: maxListingBytes,
  };
  const { stdout } = await run(shell, listScript, path, [], options, signal);
  // The one byte that no name holds ends each entry: names may hold line feeds.
  return split(stdout, slash).map((entry) => ({
    name: decodeName(entry.subarray(2)),
    ...fileOf(entry.toString('latin1', 0, 2), path),
  }));
}

/**
 * A regular file's bytes. Directories, devices, pipes and files over `maxFileBytes` are refused.
 */
export async function readFile(
  shell: Shell,
  path: NodePath,
  signal?: AbortSignal,
): Promise<Buffer> {
  const options = { title: 'Read a file', timeoutMs: 60_000, maxOutputBytes: maxFileBytes + 1 };
  const args = [String(maxFileBytes), String(maxFileBytes + 1)];
  const { stdout } = await run(shell, readScript, path, args, options, signal);
  // A file may grow while it is read, and those of /proc state no size.
  if (stdout.length > maxFileBytes) throw failure(exits.tooLarge, path, '');
  return stdout;
}

/**
 * `length` bytes from `offset` on, fewer where the file ends; of any file, however large. A negative offset counts
 * from the file's end: -1 is its last byte.
 */
export async function readFileRange(
  shell: Shell,
  path: NodePath,
  offset: number,
  length: number,
  signal?: AbortSignal,
): Promise<NodeFilePart> {
  if (!Number.isSafeInteger(offset) || !(length >= 0 && length <= maxFileBytes)) {
    throw new RangeError(`no range of a file: ${offset}, ${length}`);
  }
  const options = {
    title: 'Read a part of a file',
    timeoutMs: 60_000,
    maxOutputBytes: length + maxSizeLine,
  };
  const args = offset < 0 ? rangeFromEnd(offset, length) : rangeFromStart(offset, length);
  const { stdout } = await run(shell, rangeScript, path, args, options, signal);
  const end = stdout.indexOf(lineFeed);
  const size = Number(/^\d+$/.exec(stdout.toString('latin1', 0, Math.max(0, end)))?.[0] ?? NaN);
  if (Number.isNaN(size)) throw failure(undefined, path, 'the answer makes no sense');
  const bytes = stdout.subarray(end + 1, end + 1 + length);
  return { bytes, offset: offset < 0 ? Math.max(0, size + offset) : offset, size };
}

/** Blocks that dd skips by seeking, so that the end of a large file costs no more than its beginning. */
const blockBytes = 1 << 16;

// Reckoned here, as the arithmetic of some shells has 32 bits.
function rangeFromStart(offset: number, length: number): string[] {
  const inBlock = offset % blockBytes;
  const blocks = Math.ceil((inBlock + length) / blockBytes);
  return ['start', ...[(offset - inBlock) / blockBytes, blocks, inBlock + 1, length].map(String)];
}

function rangeFromEnd(offset: number, length: number): string[] {
  return ['end', String(-offset), String(Math.min(length, -offset))];
}

/**
 * The versions of many files in one round trip, in their order. What cannot be seen, for whatever reason, has
 * none.
 */
export async function versionsOfFiles(
  shell: Shell,
  paths: readonly NodePath[],
  signal?: AbortSignal,
): Promise<readonly NodeFileVersion[]> {
  const command = { title: 'Look whether files changed', script: versionsScript, args: paths };
  const { stdout } = await shell.exec(
    command,
    { timeoutMs: 20_000, maxOutputBytes: 1 << 20 },
    signal,
  );
  const lines = stdout.toString('latin1').split('\n');
  return paths.map((_, index) => {
    const line = lines[index] ?? '';
    return line === '' || line === '-' ? undefined : line;
  });
}

/** The login's home directory; `/` when it has none. */
export async function homeDirectory(shell: Shell, signal?: AbortSignal): Promise<NodePath> {
  const command = { title: 'Find the home directory', script: 'cd && pwd && echo .' };
  const { stdout } = await shell.exec(command, { timeoutMs: 10_000 }, signal);
  const path = decodeName(stdout).replace(/\n\.\n$/, '');
  return path.startsWith('/') ? path : '/';
}

const lineFeed = 0x0a;
/** Longest first line of the answer that holds a part. */
const maxSizeLine = 64;
const slash = 0x2f;

/** How the scripts below say what is wrong with the path. */
const exits = {
  notFound: 81,
  noPermission: 82,
  notDirectory: 83,
  isDirectory: 84,
  notRegular: 85,
  tooLarge: 86,
  brokenLink: 87,
} as const;

/** Stands before each script: the functions they share. `$1` is the path. */
const prelude = `
export LC_ALL=C
missing() {
  [ -L "$1" ] && exit ${exits.brokenLink}
  d=\${1%/*}
  while [ -n "$d" ] && ! [ -d "$d" ]; do d=\${d%/*}; done
  [ -x "\${d:-/}" ] && exit ${exits.notFound}
  exit ${exits.noPermission}
}
kind() {
  if [ -d "$1" ]; then k=d; elif [ -f "$1" ]; then k=f; elif [ -e "$1" ]; then k=o; else k=x; fi
  if [ -L "$1" ]; then k=\${k}l; else k=$k-; fi
}
measure() {
  stat -L -c '%s %Y' -- "$1" 2>/dev/null || stat -L -f '%z %m' -- "$1" 2>/dev/null || echo '0 0'
}
`;

const statScript = `${prelude}
kind "$1"
[ "$k" = x- ] && missing "$1"
echo "$k $(measure "$1")"
`;

const listScript = `${prelude}
kind "$1"
case $k in x?) missing "$1";; d?) ;; *) exit ${exits.notDirectory};; esac
[ -r "$1" ] && cd -- "$1" || exit ${exits.noPermission}
for f in .* *; do
  case $f in .|..) continue;; esac
  kind "./$f"
  # A pattern that matches nothing stands for itself.
  [ "$k" = x- ] || printf '%s%s/' "$k" "$f"
done
`;

const readScript = `${prelude}
kind "$1"
case $k in x?) missing "$1";; d?) exit ${exits.isDirectory};; o?) exit ${exits.notRegular};; esac
[ -r "$1" ] || exit ${exits.noPermission}
set -- "$@" $(measure "$1")
[ "$4" -gt "$2" ] && exit ${exits.tooLarge}
exec head -c "$3" -- "$1"
`;

const rangeScript = `${prelude}
kind "$1"
case $k in x?) missing "$1";; d?) exit ${exits.isDirectory};; o?) exit ${exits.notRegular};; esac
[ -r "$1" ] || exit ${exits.noPermission}
size=$(measure "$1")
echo "\${size%% *}"
case $2 in
  end) tail -c "$3" -- "$1" | head -c "$4";;
  # Here a file whose name begins with a minus sign is no option.
  *) dd bs=${blockBytes} skip="$3" count="$4" <"$1" 2>/dev/null | tail -c "+$5" | head -c "$6";;
esac
`;

const versionsScript = `
export LC_ALL=C
for f; do
  { stat -L -c '%s %Y %Z %i %a %y' -- "$f" || stat -L -f '%z %m %c %i %p %Fm' -- "$f"; } 2>/dev/null || echo -
done
`;

interface RunOptions extends ExecOptions {
  readonly title: string;
}

async function run(
  shell: Shell,
  script: string,
  path: NodePath,
  args: readonly string[],
  { title, ...options }: RunOptions,
  signal: AbortSignal | undefined,
): Promise<ExecResult> {
  // A path without a leading slash would depend on where a login shell starts, or pass for an option.
  if (!path.startsWith('/')) throw failure(exits.notFound, path, '');
  const result = await shell.exec({ title, script, args: [path, ...args] }, options, signal);
  if (result.exitCode !== 0) throw failure(result.exitCode, path, result.stderr);
  return result;
}

function failure(exitCode: number | undefined, path: NodePath, stderr: string): UserError {
  const shown = toDisplay(path, 300);
  switch (exitCode) {
    case exits.notFound:
      return new UserError('file.notFound', `There is no ${shown} on the node.`);
    case exits.brokenLink:
      return new UserError(
        'file.brokenLink',
        `${shown} is a link that leads nowhere, or round in a circle.`,
      );
    case exits.noPermission:
      return new UserError('file.noPermission', `The node does not let you read ${shown}.`, {
        hint: 'The login on this node has no permission for it.',
      });
    case exits.notDirectory:
      return new UserError('file.notDirectory', `${shown} is not a directory.`);
    case exits.isDirectory:
      return new UserError('file.isDirectory', `${shown} is a directory.`);
    case exits.notRegular:
      return new UserError(
        'file.notRegular',
        `${shown} is a device, a pipe or a socket, which have no end to read to.`,
      );
    case exits.tooLarge:
      return new UserError(
        'file.tooLarge',
        `${shown} is larger than ${Math.round(maxFileBytes / 2 ** 20)} MiB.`,
        { hint: 'Its end can be opened.' },
      );
    default: {
      const why = toDisplay(stderr.trim(), 200) || `exit code ${exitCode ?? 'unknown'}`;
      return new UserError('file.unreadable', `${shown} could not be read (${why}).`);
    }
  }
}

const kinds: Readonly<Record<string, NodeFileKind>> = {
  f: 'file',
  d: 'directory',
  o: 'other',
  x: 'missing',
};

function fileOf(flags: string, path: NodePath): NodeFile {
  const kind = kinds[flags.charAt(0)];
  if (kind === undefined) throw failure(undefined, path, 'the answer makes no sense');
  return { kind, isLink: flags.charAt(1) === 'l' };
}

function split(bytes: Buffer, separator: number): Buffer[] {
  const parts = [];
  let start = 0;
  for (let end; (end = bytes.indexOf(separator, start)) >= 0; start = end + 1) {
    parts.push(bytes.subarray(start, end));
  }
  return parts;
}

// One well-formed UTF-8 character of more than one byte (RFC 3629, syntax of UTF-8 byte sequences), in
// latin1.
const utf8Character = new RegExp(
  [
    '[\\xc2-\\xdf][\\x80-\\xbf]',
    '\\xe0[\\xa0-\\xbf][\\x80-\\xbf]',
    '[\\xe1-\\xec\\xee\\xef][\\x80-\\xbf]{2}',
    '\\xed[\\x80-\\x9f][\\x80-\\xbf]',
    '\\xf0[\\x90-\\xbf][\\x80-\\xbf]{2}',
    '[\\xf1-\\xf3][\\x80-\\xbf]{3}',
    '\\xf4[\\x80-\\x8f][\\x80-\\xbf]{2}',
    '[\\x80-\\xff]',
  ].join('|'),
  'g',
);

/** The bytes as text, those that are not UTF-8 as lone surrogates: the inverse of `encodeText`. */
export function decodeName(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isUtf8(buffer)) return buffer.toString('utf8');
  return buffer
    .toString('latin1')
    .replace(utf8Character, (found) =>
      found.length === 1
        ? String.fromCharCode(0xdc00 + found.charCodeAt(0))
        : Buffer.from(found, 'latin1').toString('utf8'),
    );
}

// --- Addresses ---------------------------------------------------------------------------------------

/** The scheme of a node's files: `faultline://<node>/<path>`. */
export const nodeFileScheme = 'faultline';

export interface NodeFileAddress {
  /** The node's name. */
  readonly node: string;
  readonly path: NodePath;
}

/** The file's address, percent-encoded. */
export function formatNodeUri({ node, path }: NodeFileAddress): string {
  const encoded = uriPath(path).split('/').map(encodeURIComponent).join('/');
  return `${nodeFileScheme}://${uriAuthority(node)}${encoded}`;
}

/** Undefined for anything that is not an address made by `formatNodeUri`, or by VS Code from one. */
export function parseNodeUri(text: string): NodeFileAddress | undefined {
  const [, authority, encoded] = /^faultline:\/\/([^/?#]+)(\/[^?#]*)$/i.exec(text) ?? [];
  if (authority === undefined || encoded === undefined) return undefined;
  try {
    return {
      node: nodeOfAuthority(decodeURIComponent(authority)),
      path: pathOfUriPath(decodeURIComponent(encoded)),
    };
  } catch {
    // Percent signs that encode no UTF-8: not made by us.
    return undefined;
  }
}

/**
 * The node's name as an URI's authority. VS Code writes authorities in lower case, so what is not plain lower
 * case is written as `~` and two hexadecimal digits a byte.
 */
export function uriAuthority(node: string): string {
  return node.replace(/[^a-z0-9._-]/gu, (char) =>
    [...Buffer.from(char, 'utf8')].map((byte) => `~${byte.toString(16).padStart(2, '0')}`).join(''),
  );
}

/** The inverse of `uriAuthority`. */
export function nodeOfAuthority(authority: string): string {
  return authority.replace(/(?:~[0-9a-f]{2})+/g, (escaped) =>
    Buffer.from(escaped.replaceAll('~', ''), 'hex').toString('utf8'),
  );
}

// An URI holds Unicode text, and VS Code throws at a lone surrogate. Bytes that are not UTF-8 are therefore
// characters U+EF80–U+EFFF of the private use area there (as in MirBSD's OPTU-8); a name that really holds
// such a character has its bytes written the same way.

/** The path as text for an URI's path, not yet percent-encoded. */
export function uriPath(path: NodePath): string {
  return path.replace(/[\udc80-\udcff]|[\uef80-\uefff]/gu, (char) => {
    const code = char.charCodeAt(0);
    const bytes = code < 0xe000 ? [code - 0xdc00] : [...Buffer.from(char, 'utf8')];
    return String.fromCharCode(...bytes.map((byte) => 0xef00 + byte));
  });
}

/** The inverse of `uriPath`. */
export function pathOfUriPath(text: string): NodePath {
  if (!/[\uef80-\uefff]/.test(text)) return text;
  const withSurrogates = text.replace(/[\uef80-\uefff]/g, (char) =>
    String.fromCharCode(char.charCodeAt(0) - 0xef00 + 0xdc00),
  );
  return decodeName(encodeText(withSurrogates));
}
