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

/** Exit code of the bootstrap when the line it read is not the one we sent: see `noShell` of connect.ts. */
export const noHeaderExitCode = 96;

/**
 * Start-up files of the login shell may read from stdin, and what is left of our line must then never be
 * evaluated: hence its first word. It also makes the line a comment for whatever other shell reads it as a
 * script (a `.bashrc` with `exec zsh`). The names of the variables are our own, as the user may export any other.
 */
const firstWord = '#faultline';
const readHeader = `IFS=" " read -r __fl_word __fl_line && [ "$__fl_word" = "${firstWord}" ] || exit ${noHeaderExitCode}`;

/** What is sent as the SSH exec request, always. */
export const bootstrapCommand = `exec /bin/sh -c '${readHeader}; eval "$__fl_line"'`;

/** On a terminal this shows that the header may come. */
export const terminalReady = '\u001efaultline-ready\r\n';

/**
 * The same on a terminal, where the header must be read unechoed and outside canonical mode, whose lines end at
 * 4,096 bytes.
 */
export const terminalBootstrapCommand =
  `exec /bin/sh -c 'command -p stty -echo -icanon && printf "\\036faultline-ready\\n" || exit ${noHeaderExitCode}; ` +
  `${readHeader}; command -p stty echo icanon; eval "$__fl_line"'`;

/** The largest header line (script and arguments, escaped) we send: the node's sh holds it in memory. */
const maxHeaderBytes = 4 << 20;

export interface EncodedCommand {
  /** To be written to the channel's stdin first. Ends in a line feed. */
  readonly header: string;
  /**
   * The program's output starts after this text on stdout and on stderr: whatever the login shell's start-up
   * files print comes before it. Random, so start-up files cannot forge it by accident.
   */
  readonly marker: string;
}

export interface EncodeOptions {
  readonly guard?: boolean;
  /** For `terminalBootstrapCommand`: one marker only, as a terminal has one output. */
  readonly onTerminal?: boolean;
}

export function encodeCommand(command: RemoteCommand, options: EncodeOptions = {}): EncodedCommand {
  const name = `faultline-${randomBytes(8).toString('hex')}`;
  const mark = `printf '\\036${name}\\n'`;
  const args = command.args ?? [];
  const program = [
    assignment('__fl0', command.script),
    ...args.map((arg, index) => assignment(`__fl${index + 1}`, arg)),
    ['set --', ...args.map((_, index) => `"$__fl${index + 1}"`)].join(' '),
    'eval "$__fl0"',
  ].join('; ');
  const start = [findPrograms, mark, ...(options.onTerminal === true ? [] : [`${mark} >&2`])];
  const lines =
    options.guard === true
      ? [[...start, guard].join('; '), program]
      : [[...start, program].join('; ')];
  const header = `${firstWord} ${lines.join('\n')}\n`;
  if (header.length > maxHeaderBytes) {
    throw new UserError('command.tooLarge', 'The command is larger than 4 MiB.');
  }
  return { header, marker: `\u001e${name}\n` };
}

/** Start-up files may leave a PATH without the programs that every script needs. */
const findPrograms =
  'command -v cat >/dev/null || ' +
  `PATH=\${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`;

/**
 * Runs the next line in a session of its own and ends that whole process group when stdin closes, which is what a
 * closed or lost channel looks like from the node. Keeps exit codes and signals true. The line goes through a
 * pipe: what a process is given as arguments is there for all users of the node to see.
 */
const guard = [
  'IFS= read -r __fl_line',
  'exec 3<&0',
  `printf '%s\\n' "$__fl_line" | ` +
    `setsid /bin/sh -c 'IFS= read -r __fl_line; exec </dev/null; eval "$__fl_line"' 3<&- & __p=$!`,
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
