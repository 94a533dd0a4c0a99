// The ssh configuration without the program `ssh`: files → the options that apply to one destination.
//
// Follows readconf.c of OpenSSH 9.2 for the keywords of `readers` below and for Host, Match (all, host,
// originalhost, user, localuser), Include and IgnoreUnknown. Values of other keywords are not checked; those that
// change how a node is reached are named in `unsupported`. test/remote/sshConfigDifferential.ts compares the
// result with `ssh -G`.

import { stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { userInfo } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import { matchesPattern } from './knownHosts.ts';
import {
  decode,
  expandGlob,
  expandHome,
  invalidLine,
  maxIncludeDepth,
  placeOf,
  readConfigLines,
  splitWords,
  type ConfigLine,
} from './sshConfigLines.ts';
import { parseDestination, type Destination } from './sshDestination.ts';

/** Options by keyword in lower case; `hostname` is always there. */
export interface HostOptions {
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** `CanonicalizeHostname (~/.ssh/config:12)`: what applies to the host and was left out. */
  readonly unsupported: readonly string[];
}

export interface ConfigFile {
  readonly path: string;
  /** The user's files may say `~` and look for includes in ~/.ssh, the system's in its own directory. */
  readonly isUsers: boolean;
  /** Whether a file that others may write is refused, as ssh does for its own default. */
  readonly checkOwner: boolean;
  /** A file that was named, unlike one that ssh looks for by itself. */
  readonly mustExist?: boolean;
}

/** No configuration has this many files; a glob that went wrong has. */
const maxFiles = 10_000;
const maxIdentities = 100;

/** Keywords that change how a node is reached and are not acted upon: name, then the values that change nothing. */
export const unusedKeywords: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    addressfamily: ['AddressFamily', 'any'],
    bindaddress: ['BindAddress'],
    bindinterface: ['BindInterface'],
    canonicalizehostname: ['CanonicalizeHostname', 'no', 'false', 'none'],
    casignaturealgorithms: ['CASignatureAlgorithms'],
    ciphers: ['Ciphers'],
    hostkeyalgorithms: ['HostKeyAlgorithms'],
    kexalgorithms: ['KexAlgorithms'],
    knownhostscommand: ['KnownHostsCommand', 'none'],
    macs: ['MACs'],
    nohostauthenticationforlocalhost: ['NoHostAuthenticationForLocalhost', 'no', 'false'],
    pkcs11provider: ['PKCS11Provider', 'none'],
    proxyusefdpass: ['ProxyUseFdpass', 'no', 'false'],
    pubkeyacceptedalgorithms: ['PubkeyAcceptedAlgorithms'],
    remotecommand: ['RemoteCommand', 'none'],
    requiredrsasize: ['RequiredRSASize', '1024'],
    revokedhostkeys: ['RevokedHostKeys', 'none'],
    securitykeyprovider: ['SecurityKeyProvider', 'internal'],
    tag: ['Tag'],
    verifyhostkeydns: ['VerifyHostKeyDNS', 'no', 'false'],
  }),
);

/** Keywords that change nothing about how a node is reached, or that OpenSSH itself no longer listens to. */
const keywordsWithoutEffect = new Set(
  `addkeystoagent batchmode canonicaldomains canonicalizefallbacklocal canonicalizemaxdots
  canonicalizepermittedcnames channeltimeout checkhostip clearallforwardings compression connectionattempts
  controlmaster controlpath controlpersist dynamicforward enableescapecommandline enablesshkeysign escapechar
  exitonforwardfailure fingerprinthash forkafterauthentication forwardagent forwardx11 forwardx11timeout
  forwardx11trusted gatewayports gssapiauthentication gssapiclientidentity gssapidelegatecredentials
  gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity gssapitrustdns
  hashknownhosts hostbasedacceptedalgorithms hostbasedauthentication ipqos
  kbdinteractivedevices localcommand localforward loglevel logverbose numberofpasswordprompts
  obscurekeystroketiming permitlocalcommand permitremoteopen rekeylimit remoteforward requesttty sendenv
  sessiontype setenv stdinnull streamlocalbindmask streamlocalbindunlink syslogfacility tcpkeepalive tunnel
  tunneldevice updatehostkeys visualhostkey warnweakcrypto xauthlocation
  afstokenpassing cipher compressionlevel fallbacktorsh
  globalknownhostsfile2 kerberosauthentication kerberostgtpassing protocol rhostsauthentication
  rhostsrsaauthentication rsaauthentication  userknownhostsfile2 useprivilegedport
  useroaming usersh`.split(/\s+/),
);

/** Later names of some keywords. */
const aliases: ReadonlyMap<string, string> = new Map(
  Object.entries({
    identityfile2: 'identityfile',
    hostbasedkeytypes: 'hostbasedacceptedalgorithms',
    keepalive: 'tcpkeepalive',
    pubkeyacceptedkeytypes: 'pubkeyacceptedalgorithms',
    challengeresponseauthentication: 'kbdinteractiveauthentication',
    dsaauthentication: 'pubkeyauthentication',
    skeyauthentication: 'kbdinteractiveauthentication',
    tisauthentication: 'kbdinteractiveauthentication',
    smartcarddevice: 'pkcs11provider',
  }),
);

/** A keyword as ssh_config(5) writes it; undefined when there is none of that name that stands alone. */
export function keywordName(keyword: string): string | undefined {
  const lower = keyword.toLowerCase();
  const known = aliases.get(lower) ?? lower;
  const names =
    `HostName User HostKeyAlias IgnoreUnknown IdentityFile CertificateFile Port IdentitiesOnly
    StrictHostKeyChecking IdentityAgent ProxyJump ProxyCommand UserKnownHostsFile GlobalKnownHostsFile ConnectTimeout
    ServerAliveInterval ServerAliveCountMax PreferredAuthentications PasswordAuthentication
    KbdInteractiveAuthentication PubkeyAuthentication LocalCommand PermitLocalCommand`.split(/\s+/);
  return (
    names.find((name) => name.toLowerCase() === known) ??
    unusedKeywords.get(known)?.[0] ??
    (keywordsWithoutEffect.has(known) ? keyword : undefined)
  );
}

/** The options for a destination, of several files: what is said first wins. */
export async function readHostOptions(
  destination: Destination,
  files: readonly ConfigFile[],
): Promise<HostOptions> {
  const reading = new Reading(destination);
  for (const file of files) await reading.readFile(file);
  return reading.result();
}

/** Where in the files the reading is: what the lines there may do. */
interface Context {
  readonly file: ConfigFile;
  readonly depth: number;
  /** In a file that is included from a block that does not apply, no block applies. */
  readonly canMatch: boolean;
}

class Reading {
  private readonly destination: Destination;
  private readonly values = new Map<string, string[]>();
  private readonly unsupported = new Set<string>();
  private filesRead = 0;
  /** Whether the lines at this point apply to the destination. */
  private isActive = true;

  constructor(destination: Destination) {
    this.destination = destination;
    if (destination.user !== undefined) this.values.set('user', [destination.user]);
    if (destination.port !== undefined) this.values.set('port', [String(destination.port)]);
  }

  async readFile(file: ConfigFile): Promise<void> {
    this.isActive = true;
    await this.read({ file, depth: 0, canMatch: true });
  }

  result(): HostOptions {
    const values = new Map(
      [...this.values].map(([keyword, found]) => [keyword, found.map(decode)] as const),
    );
    const host = decode(this.hostName());
    // Names know no upper case, and ssh leaves addresses as they are.
    values.set('hostname', [isIP(host) === 0 ? host.toLowerCase() : host]);
    return { values, unsupported: [...this.unsupported].map(decode) };
  }

  /** What HostName makes of the name: `%h` is the name as it was asked for. */
  private hostName(): string {
    const pattern = this.values.get('hostname')?.[0];
    if (pattern === undefined) return this.destination.host;
    return pattern.replace(/%(.?)/g, (_, token: string) => {
      if (token === 'h') return this.destination.host;
      if (token === '%') return '%';
      throw new UserError(
        'ssh.configInvalid',
        `The ssh configuration cannot be used: HostName has an unknown token "%${token}".`,
        { hint: 'It may have %h and %% only.' },
      );
    });
  }

  private async read(context: Context): Promise<void> {
    const { path, checkOwner, mustExist } = context.file;
    if (++this.filesRead > maxFiles) {
      throw invalidLine({ file: path, line: 1 }, `it is one of more than ${maxFiles} files`);
    }
    const about = await stat(path).catch(() => undefined);
    if (about === undefined && mustExist === true) {
      throw new UserError('ssh.configInvalid', `There is no ssh configuration ${path}.`, {
        hint: 'Check the setting faultline.ssh.configFile.',
      });
    }
    if (about?.isDirectory() === true) return;
    if (about !== undefined && checkOwner) refuseOthers(path, about);
    for (const line of await readConfigLines(path)) await this.apply(line, context);
  }

  private async apply(line: ConfigLine, context: Context): Promise<void> {
    const keyword = aliases.get(line.keyword) ?? line.keyword;
    if (!/^[a-z0-9]+$/.test(keyword)) throw invalidLine(line, notAKeyword(line.keyword));
    if (line.value === '') throw invalidLine(line, `nothing stands after "${line.keyword}"`);
    const words = splitWords(line.value);
    if (words === undefined) throw invalidLine(line, 'its quotes do not match');
    if (keyword === 'host') this.isActive = this.matchesHost(words, line) && context.canMatch;
    else if (keyword === 'match') this.isActive = this.matches(line) && context.canMatch;
    else if (keyword === 'include') await this.include(words, line, context);
    else this.option({ ...line, keyword }, words);
  }

  private matchesHost(patterns: readonly string[], line: ConfigLine): boolean {
    let matched = false;
    for (const word of patterns) {
      if (word === '') throw invalidLine(line, 'one of its patterns is empty');
      const isNegated = word.startsWith('!');
      if (!matchesPattern(this.destination.host, isNegated ? word.slice(1) : word)) continue;
      if (isNegated) return false;
      matched = true;
    }
    return matched;
  }

  private matches(line: ConfigLine): boolean {
    let result = true;
    const undecided: string[] = [];
    const criteria = readCriteria(line);
    for (const { name, isNegated, argument } of criteria) {
      const test = criterionTests.get(name);
      if (test === undefined) undecided.push(`Match ${name} (${placeOf(line)})`);
      else if (test(argument, this.names()) === isNegated) result = false;
    }
    if (!result || undecided.length === 0) return result;
    // What would decide is not known here: the block is left out, and that is said.
    for (const words of undecided) this.unsupported.add(words);
    return false;
  }

  /** What Match compares with, as far as it is known at this point of the file. */
  private names(): MatchNames {
    const localUser = userInfo().username;
    return {
      host: this.hostName(),
      originalHost: this.destination.host,
      user: this.values.get('user')?.[0] ?? localUser,
      localUser,
    };
  }

  private async include(
    words: readonly string[],
    line: ConfigLine,
    context: Context,
  ): Promise<void> {
    const wasActive = this.isActive;
    const { isUsers, path: includer } = context.file;
    if (context.depth + 1 > maxIncludeDepth) {
      throw invalidLine(line, `files include each other more than ${maxIncludeDepth} levels deep`);
    }
    for (const word of words) {
      if (word === '') throw invalidLine(line, 'one of its files is empty');
      const isHome = word === '~' || word.startsWith('~/');
      if (word.startsWith('~') && !isUsers)
        throw invalidLine(line, `"${word}" is for users' files`);
      if (word.startsWith('~') && !isHome) {
        if (wasActive) this.unsupported.add(`Include ${word} (${placeOf(line)})`);
        continue;
      }
      const base = isUsers ? join(userInfo().homedir, '.ssh') : dirname(includer);
      const pattern = expandHome(decode(word));
      for (const path of await expandGlob(isAbsolute(pattern) ? pattern : join(base, pattern))) {
        await this.read({
          file: { path, isUsers, checkOwner: true },
          depth: context.depth + 1,
          canMatch: wasActive,
        });
        this.isActive = wasActive;
      }
    }
  }

  private option(line: ConfigLine, words: readonly string[]): void {
    const read = readers.get(line.keyword);
    if (read === undefined) {
      this.nameUnsupported(line, words);
      return;
    }
    const found = read(words, line);
    if (!this.isActive || found.length === 0) return;
    if (accumulating.has(line.keyword)) this.accumulate(line, found);
    else if (line.keyword === 'proxyjump') this.setProxy('proxyjump', found);
    else if (line.keyword === 'proxycommand') this.setProxy('proxycommand', found);
    else if (!this.values.has(line.keyword)) this.values.set(line.keyword, found);
  }

  private accumulate(line: ConfigLine, found: readonly string[]): void {
    const known = this.values.get(line.keyword) ?? [];
    if (known.length >= maxIdentities)
      throw invalidLine(line, `there are more than ${maxIdentities} of these`);
    this.values.set(line.keyword, [...new Set([...known, ...found])]);
  }

  /** Of ProxyJump and ProxyCommand, the first one said counts; `ProxyJump none` leaves room for a command. */
  private setProxy(keyword: string, found: string[]): void {
    const jump = this.values.get('proxyjump')?.[0];
    if (this.values.has('proxycommand')) return;
    if (jump === undefined || (keyword === 'proxycommand' && jump === 'none')) {
      this.values.set(keyword, found);
    }
  }

  private nameUnsupported(line: ConfigLine, words: readonly string[]): void {
    if (!this.isActive || keywordsWithoutEffect.has(line.keyword)) return;
    const [name = undefined, ...harmless] = unusedKeywords.get(line.keyword) ?? [];
    if (harmless.includes(words[0]?.toLowerCase() ?? '')) return;
    const ignored = this.values.get('ignoreunknown')?.[0];
    if (name === undefined && ignored !== undefined && matchesList(line.keyword, ignored)) return;
    this.unsupported.add(`${name ?? line.keyword} (${placeOf(line)})`);
  }
}

function notAKeyword(text: string): string {
  return text.startsWith('\xef\xbb\xbf')
    ? 'the file begins with a byte order mark, which ssh does not read'
    : `"${toDisplay(decode(text), 40)}" is no keyword`;
}

/** Keywords whose values add up. */
const accumulating = new Set(['identityfile', 'certificatefile']);

/** What a keyword's words must be. A wrong value is an error wherever it stands, as for ssh. */
type OptionReader = (words: readonly string[], line: ConfigLine) => string[];

const yesNo = ['yes', 'true', 'no', 'false'];

const readers: ReadonlyMap<string, OptionReader> = new Map(
  Object.entries({
    hostname: oneWord,
    user: oneWord,
    hostkeyalias: oneWord,
    ignoreunknown: oneWord,
    identityfile: oneWord,
    certificatefile: oneWord,
    port: readPort,
    identitiesonly: oneOf(yesNo),
    stricthostkeychecking: oneOf([...yesNo, 'off', 'ask', 'accept-new']),
    identityagent: readAgent,
    proxyjump: readJump,
    proxycommand: (_, line) => [line.value],
    userknownhostsfile: readFiles,
    globalknownhostsfile: readFiles,
    connecttimeout: readSeconds,
    serveraliveinterval: readSeconds,
    serveralivecountmax: readCount,
    preferredauthentications: oneWord,
    passwordauthentication: oneOf(yesNo),
    kbdinteractiveauthentication: oneOf(yesNo),
    pubkeyauthentication: oneOf([...yesNo, 'unbound', 'host-bound']),
  }),
);

function oneWord(words: readonly string[], line: ConfigLine): string[] {
  const [word = ''] = words;
  if (word === '') throw invalidLine(line, `nothing stands after "${line.keyword}"`);
  if (words.length > 1) throw invalidLine(line, `"${line.keyword}" has more than one value`);
  return [word];
}

function oneOf(allowed: readonly string[]): OptionReader {
  return (words, line) => {
    const value = oneWord(words, line)[0]!.toLowerCase();
    if (!allowed.includes(value))
      throw invalidLine(line, `"${value}" is no value of "${line.keyword}"`);
    return [value];
  };
}

function readPort(words: readonly string[], line: ConfigLine): string[] {
  const [word = ''] = oneWord(words, line);
  if (word === 'ssh') return ['22'];
  const port = /^\d+$/.test(word) ? Number(word) : 0;
  if (port < 1 || port > 65_535) throw invalidLine(line, `"${word}" is no port`);
  return [String(port)];
}

function readCount(words: readonly string[], line: ConfigLine): string[] {
  const [word = ''] = oneWord(words, line);
  if (!/^\+?\d{1,9}$/.test(word)) throw invalidLine(line, `"${word}" is no number`);
  return [String(Number(word))];
}

const secondsOf: Readonly<Record<string, number>> = {
  '': 1,
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
};

/** sshd_config(5) TIME FORMATS: `90`, `1m30s`. */
function readSeconds(words: readonly string[], line: ConfigLine): string[] {
  const [word = ''] = oneWord(words, line);
  // ssh takes it for not said: a later line still counts.
  if (word === 'none') return [];
  if (!/^(\d+[smhdw]?)+$/i.test(word)) throw invalidLine(line, `"${word}" is no time`);
  let seconds = 0;
  for (const [, digits = '', unit = ''] of word.matchAll(/(\d+)([smhdw]?)/gi)) {
    seconds += Number(digits) * secondsOf[unit.toLowerCase()]!;
  }
  if (seconds > 0x7fff_ffff) throw invalidLine(line, `"${word}" is too long a time`);
  return [String(seconds)];
}

function readFiles(words: readonly string[], line: ConfigLine): string[] {
  if (words.includes('')) throw invalidLine(line, 'one of its files is empty');
  if (words.length === 0) throw invalidLine(line, `nothing stands after "${line.keyword}"`);
  if (words.length > 1 && words.some((word) => word.toLowerCase() === 'none')) {
    throw invalidLine(line, '"none" stands there with other files');
  }
  return [...words];
}

/** A variable that is not set is an error, as for ssh. */
function readAgent(words: readonly string[], line: ConfigLine): string[] {
  const [word = ''] = oneWord(words, line);
  for (const [, name = ''] of word.matchAll(/\$\{([^}]*)\}/g)) {
    if (process.env[name] === undefined) throw invalidLine(line, `there is no variable ${name}`);
  }
  if (/^\$(?!\{)/.test(word) && !/^\$[A-Za-z_][A-Za-z0-9_]*$/.test(word)) {
    throw invalidLine(line, `"${word}" names no variable`);
  }
  return [word];
}

function readJump(_: readonly string[], line: ConfigLine): string[] {
  const value = line.value.replace(/#.*$/, '').trimEnd();
  if (value.toLowerCase() === 'none') return ['none'];
  for (const hop of value.split(',')) {
    if (parseDestination(hop) === undefined)
      throw invalidLine(line, `"${hop}" is no host to go through`);
  }
  return [value];
}

interface Criterion {
  /** In lower case. */
  readonly name: string;
  readonly isNegated: boolean;
  readonly argument: string;
}

interface MatchNames {
  readonly host: string;
  readonly originalHost: string;
  readonly user: string;
  readonly localUser: string;
}

const criterionTests: ReadonlyMap<string, (argument: string, names: MatchNames) => boolean> =
  new Map(
    Object.entries({
      all: () => true,
      host: (argument, { host }) => matchesList(host.toLowerCase(), argument.toLowerCase()),
      originalhost: (argument, { originalHost }) =>
        matchesList(originalHost.toLowerCase(), argument.toLowerCase()),
      user: (argument, { user }) => matchesList(user, argument),
      localuser: (argument, { localUser }) => matchesList(localUser, argument),
    }),
  );

const criteriaWithoutArgument = new Set(['all', 'canonical', 'final']);

/** The criteria of a Match line. Unlike other values these know double quotes only, and `name=value`. */
function readCriteria(line: ConfigLine): Criterion[] {
  const words = [...line.value.matchAll(/"([^"]*)"[ \t=]*|([^ \t="]+)[ \t=]*/g)].map(
    ([, quoted, plain]) => quoted ?? plain ?? '',
  );
  const criteria: Criterion[] = [];
  for (
    let word = words.shift();
    word !== undefined && !word.startsWith('#');
    word = words.shift()
  ) {
    const isNegated = word.startsWith('!');
    const name = word.slice(isNegated ? 1 : 0).toLowerCase();
    const argument = criteriaWithoutArgument.has(name) ? '' : words.shift();
    if (
      argument === undefined ||
      (argument === '' && !criteriaWithoutArgument.has(name)) ||
      argument.startsWith('#')
    ) {
      throw invalidLine(line, `nothing stands after "${name}"`);
    }
    criteria.push({ name, isNegated, argument });
  }
  const isAlone = criteria.length === 1;
  if (criteria.length === 0) throw invalidLine(line, 'nothing stands after "match"');
  if (!isAlone && criteria.some(({ name }) => name === 'all')) {
    throw invalidLine(line, '"all" stands there with others');
  }
  return criteria;
}

/** A list of patterns with commas, of which a negated one excludes the text. */
function matchesList(text: string, list: string): boolean {
  let matched = false;
  for (const pattern of list.split(',')) {
    const isNegated = pattern.startsWith('!');
    if (!matchesPattern(text, isNegated ? pattern.slice(1) : pattern)) continue;
    if (isNegated) return false;
    matched = true;
  }
  return matched;
}

/** ssh does not trust a configuration that somebody else can write. */
function refuseOthers(path: string, about: { readonly uid: number; readonly mode: number }): void {
  if (process.getuid === undefined) return;
  const isOurs = about.uid === 0 || about.uid === process.getuid();
  if (isOurs && (about.mode & 0o022) === 0) return;
  throw new UserError(
    'ssh.configInvalid',
    `The ssh configuration ${path} can be changed by others.`,
    {
      hint: `Make it yours alone: chmod go-w "${path}"`,
    },
  );
}
