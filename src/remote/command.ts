// A RemoteCommand → bytes on a channel. The only place that quotes.
//
// What sshd hands to the user's login shell is one constant text, which bash, dash, ash, zsh, mksh, fish and
// tcsh all read alike; quoting data for an unknown login shell is not safe (reliability.md 0.8: fish and
// tcsh execute injected text). The constant text makes a POSIX sh read one line from stdin and evaluate it;
// that line holds the script and its arguments, escaped to printable ASCII. Everything after the line is
// the program's own stdin.

import { randomBytes } from 'node:crypto';
import { UserError } from '../base/errors.ts';
import type { RemoteCommand } from './shell.ts';

/** What is sent as the SSH exec request, always. */
export const bootstrapCommand = `exec /bin/sh -c 'IFS= read -r l && eval "$l"'`;

/** The largest header line (script and arguments, escaped) we send: the node's sh holds it in memory. */
const maxHeaderBytes = 4 << 20;

export interface EncodedCommand {
  /** To be written to the channel's stdin first. Ends in a line feed. */
  readonly header: string;
  /**
   * The program's output starts after this text on stdout: whatever the login shell's start-up files print
   * comes before it. Random, so start-up files cannot forge it by accident.
   */
  readonly marker: string;
}

export interface EncodeOptions {
  readonly guard?: boolean;
}

export function encodeCommand(command: RemoteCommand, options: EncodeOptions = {}): EncodedCommand {
  const name = `faultline-${randomBytes(8).toString('hex')}`;
  const args = command.args ?? [];
  const argNames = args.map((_, index) => `"$__fl${index + 1}"`).join(' ');
  const statements = [
    `printf '\\036${name}\\n'`,
    assignment('__fl0', command.script),
    ...args.map((arg, index) => assignment(`__fl${index + 1}`, arg)),
    options.guard === true
      ? `set -- /bin/sh -c "$__fl0" sh ${argNames}; ${guard}`
      : `set -- ${argNames}; eval "$__fl0"`,
  ];
  const header = `${statements.join('; ')}\n`;
  if (header.length > maxHeaderBytes) {
    throw new UserError('command.tooLarge', 'The command is larger than 4 MiB.');
  }
  return { header, marker: `\u001e${name}\n` };
}

/**
 * Runs "$@" in a session of its own and ends that whole process group when stdin closes, which is what a
 * closed or lost channel looks like from the node. Keeps exit codes and signals true.
 */
const guard = [
  'exec 3<&0',
  'setsid "$@" </dev/null 3<&- & __p=$!',
  '{ cat <&3 >/dev/null; kill -s TERM -- -$__p; sleep 2; kill -s KILL -- -$__p; } >/dev/null 2>&1 & __w=$!',
  'exec 3<&-',
  'wait $__p; __r=$?',
  'kill $__w 2>/dev/null',
  '[ $__r -gt 128 ] && kill -s $((__r-128)) $$',
  'exit $__r',
]
  .join('; ')
  .replaceAll('&;', '&');

/**
 * The sh statement that gives the variable exactly these bytes, on one line of printable ASCII. What is not
 * printable is rebuilt by `printf %b` from octal escapes; the `_` keeps trailing line feeds, which a
 * command substitution drops.
 */
function assignment(name: string, value: string | Uint8Array): string {
  const bytes = typeof value === 'string' ? encodeText(value) : Buffer.from(value);
  if (bytes.includes(0)) {
    throw new UserError(
      'command.nulByte',
      'An argument holds a NUL byte, which no program can be given.',
    );
  }
  const text = bytes.toString('latin1');
  if (/^[ -~]*$/.test(text)) return `${name}='${text.replaceAll("'", `'\\''`)}'`;
  const escaped = text.replace(
    /[^ -~]|[\\']/g,
    (char) => `\\0${char.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
  return `${name}=$(printf '%b_' '${escaped}'); ${name}=\${${name}%_}`;
}

/** UTF-8, with lone surrogates U+DC80–U+DCFF as the bytes they stand for (Python's surrogateescape). */
export function encodeText(text: string): Buffer {
  if (!/[\udc80-\udcff]/.test(text)) return Buffer.from(text, 'utf8');
  return Buffer.concat(
    [...text].map((char) => {
      const code = char.codePointAt(0)!;
      return code >= 0xdc80 && code <= 0xdcff
        ? Buffer.of(code - 0xdc00)
        : Buffer.from(char, 'utf8');
    }),
  );
}
