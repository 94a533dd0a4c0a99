// What people paste to name a node: `ssh -p 2222 me@host -J bastion`, `me@host:2222`, an alias, `ssh://me@host`.
//
// Nothing of it is run or given to a shell: it is taken apart here, and what is not understood is an error or named.

import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import { keywordName } from './sshConfigFile.ts';
import {
  badName,
  formatDestination,
  isSafeUserName,
  parseDestination,
  type Destination,
} from './sshDestination.ts';

/** A way to a node, as it was typed. */
export interface TypedNode extends Destination {
  /** Hosts to go through, nearest first. */
  readonly jumps: readonly string[];
  readonly identityFiles: readonly string[];
  /** Further options in the words of ssh_config(5), as `-o` gives them. */
  readonly options: readonly (readonly [keyword: string, value: string])[];
  /** What of the command Faultline does not do, as pieces of a sentence. */
  readonly unsupported: readonly string[];
}

/** Longer than any command a person has typed. */
const maxLength = 4096;

/**
 * Takes a pasted command, destination or alias apart. Errors are UserErrors `addNode.notUnderstood` and
 * `node.badName` that name the part.
 */
export function parseSshCommandLine(text: string): TypedNode {
  if (text.length > maxLength) throw notUnderstood('It is too long for a command.');
  const words = splitCommand(text.trim().replace(/^\$\s+/, ''));
  const [first = ''] = words;
  if (first === '') throw notUnderstood('Nothing was typed.');
  const isCommand = /(^|[\\/])ssh(\.exe)?$/i.test(first) && words.length > 1;
  const typed = new CommandReading();
  typed.read(isCommand ? words.slice(1) : words);
  return typed.result();
}

/** True when there is nothing to a node but the name it is reached by. */
export function isPlain(typed: TypedNode): boolean {
  return typed.jumps.length + typed.identityFiles.length + typed.options.length === 0;
}

function notUnderstood(message: string): UserError {
  return new UserError('addNode.notUnderstood', message, {
    hint: 'Type a host, user@host:port, or a command such as ssh -p 2222 me@host.',
  });
}

/** Words as a POSIX shell splits them; whatever a shell would do beyond that is refused. */
function splitCommand(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  const pattern = /'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])|([ \t]+)|([^])/g;
  for (const [part, single, double, escaped, gap, plain] of text.matchAll(pattern)) {
    if (gap !== undefined) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    if (plain !== undefined && /["']/.test(plain)) throw notUnderstood('A quote is not closed.');
    if (plain !== undefined && /[\0-\x1f\x7f;|&<>(){}`*?!#\\]/.test(plain)) {
      throw notUnderstood(`"${toDisplay(plain)}" is for a shell, and no shell runs this.`);
    }
    if (single === undefined && escaped === undefined && /[$`]/.test(part)) {
      throw notUnderstood(
        'Variables and commands inside it are not replaced: write what they stand for.',
      );
    }
    if (/[\0-\x08\x0a-\x1f\x7f]/.test(part))
      throw notUnderstood('It has characters that cannot be seen.');
    word =
      (word ?? '') + (single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? plain ?? '');
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** ssh(1)'s options that take an argument. */
const withArgument = new Set('BbcDEeFIiJLlmOoPpQRSWw');
/** Those that change nothing about how a node is reached. */
const withoutEffect = new Set('CeEfKkMnNOPqStTvVxay');

const flagWords: Readonly<Record<string, string>> = {
  A: 'agent forwarding',
  B: 'a network interface to start from',
  b: 'an address to start from',
  D: 'forwarding of ports',
  F: 'another ssh configuration (there is the setting faultline.ssh.configFile)',
  G: 'showing the configuration',
  g: 'forwarding of ports',
  I: 'a PKCS#11 library',
  L: 'forwarding of ports',
  Q: 'questions about algorithms',
  R: 'forwarding of ports',
  s: 'a subsystem',
  W: 'forwarding of ports',
  w: 'a tunnel device',
  X: 'X11',
  Y: 'X11',
};

class CommandReading {
  private destination: Destination | undefined;
  private user: string | undefined;
  private port: number | undefined;
  private readonly jumps: string[] = [];
  private readonly identityFiles: string[] = [];
  private readonly options: [string, string][] = [];
  private readonly unsupported = new Set<string>();

  read(words: readonly string[]): void {
    const rest = [...words];
    let areOptionsOver = false;
    for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
      if (!areOptionsOver && word === '--') {
        areOptionsOver = true;
      } else if (!areOptionsOver && word.startsWith('-') && word !== '-') {
        this.readFlags(word, rest);
      } else if (this.destination === undefined) {
        this.destination = parseDestination(word);
        if (this.destination === undefined) throw badName(word);
        // After the host, ssh takes options again, and then a command.
        areOptionsOver = false;
      } else {
        const command = [word, ...rest].join(' ');
        this.unsupported.add(`the command "${toDisplay(command, 60)}"`);
        return;
      }
    }
  }

  result(): TypedNode {
    const { destination } = this;
    if (destination === undefined) throw notUnderstood('It names no host.');
    return {
      host: destination.host,
      // As for ssh, what stands in the destination counts before -l and -p.
      user: destination.user ?? this.user,
      port: destination.port ?? this.port,
      jumps: this.jumps,
      identityFiles: this.identityFiles,
      options: this.options,
      unsupported: [...this.unsupported],
    };
  }

  /** `-p2222`, `-p 2222`, `-4Ai key`. */
  private readFlags(word: string, rest: string[]): void {
    for (let i = 1; i < word.length; i++) {
      const flag = word[i]!;
      if (!withArgument.has(flag)) {
        this.readFlag(flag);
        continue;
      }
      const argument = i + 1 < word.length ? word.slice(i + 1) : rest.shift();
      if (argument === undefined || argument === '')
        throw notUnderstood(`Nothing stands after -${flag}.`);
      this.readArgument(flag, argument);
      return;
    }
  }

  private readFlag(flag: string): void {
    if (flag === '4' || flag === '6')
      this.options.push(['AddressFamily', flag === '4' ? 'inet' : 'inet6']);
    else if (flagWords[flag] !== undefined) this.unsupported.add(`${flagWords[flag]} (-${flag})`);
    else if (!withoutEffect.has(flag))
      throw notUnderstood(`ssh has no option -${toDisplay(flag)}.`);
  }

  private readArgument(flag: string, argument: string): void {
    switch (flag) {
      case 'p':
        this.port ??= readPort(argument);
        break;
      case 'l':
        this.user ??= readUser(argument);
        break;
      case 'i':
        this.readKey(argument);
        break;
      case 'J':
        this.readJumps(argument);
        break;
      case 'c':
        this.options.push(['Ciphers', argument]);
        break;
      case 'm':
        this.options.push(['MACs', argument]);
        break;
      case 'o':
        this.readOption(argument);
        break;
      default:
        this.readFlag(flag);
    }
  }

  private readKey(file: string): void {
    if (file.includes('"'))
      throw notUnderstood('A key file with a quote in its name cannot be written down.');
    this.identityFiles.push(file);
  }

  private readJumps(list: string): void {
    if (list.toLowerCase() === 'none') return;
    for (const hop of list.split(',')) {
      const destination = parseDestination(hop);
      if (destination === undefined) throw badName(hop);
      this.jumps.push(formatDestination(destination));
    }
  }

  /** `Key=Value` or `Key Value`. */
  private readOption(text: string): void {
    const [, keyword = '', value = ''] =
      /^\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.+?)\s*$/.exec(text) ?? [];
    const name = keywordName(keyword);
    if (name === undefined || value === '') {
      throw notUnderstood(`"-o ${toDisplay(text, 80)}" is no option of ssh.`);
    }
    switch (name.toLowerCase()) {
      case 'port':
        this.port ??= readPort(value);
        break;
      case 'user':
        this.user ??= readUser(value);
        break;
      case 'identityfile':
        this.readKey(value.replace(/^"(.*)"$/, '$1'));
        break;
      case 'proxyjump':
        this.readJumps(value);
        break;
      case 'localcommand':
      case 'permitlocalcommand':
      case 'knownhostscommand':
        // It would run a program here each time anybody says `ssh` to this host.
        this.unsupported.add(`${name}, which runs a program on this machine`);
        break;
      default:
        this.options.push([name, value]);
    }
  }
}

function readPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw notUnderstood(`"${toDisplay(text, 40)}" is no port.`);
}

function readUser(text: string): string {
  if (isSafeUserName(text)) return text;
  throw notUnderstood(`"${toDisplay(text, 40)}" is no user name.`);
}
