// Why the system's ssh did not connect: its own words → the same errors, in the same sentences, as the other
// transport gives. ssh tells no codes: these are the words of OpenSSH 7.4 to 10, which are not translated.

import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import { UnknownHostKey } from './hostKeyTrust.ts';
import { hostNames } from './knownHosts.ts';
import type { OpensshLog } from './opensshLog.ts';
import type { SshTarget } from './sshConfig.ts';
import {
  closedEarly,
  handshakeTooSlow,
  jumpRefused,
  loginFailure,
  noAnswer,
  proxyFailure,
  socketFailure,
} from './sshFailures.ts';

export interface OpensshWay {
  /** The node's name, for error sentences. */
  readonly node: string;
  readonly target: SshTarget;
  /** The jump hosts that are known, in no order that matters. */
  readonly hops: readonly SshTarget[];
  /** Whether somebody could be asked about a host key. */
  readonly canAsk: boolean;
}

/** An sshd on the way: how it is called in sentences, and what is known of it. */
export interface OpensshPlace {
  readonly where: string;
  readonly target: SshTarget;
}

/** The place that ssh is at. */
export function placeOf(way: OpensshWay, log: OpensshLog): OpensshPlace {
  const { address } = log.hop;
  const isAt = ({ host, port }: SshTarget): boolean => address === `${host}:${port}`;
  if (address === undefined || isAt(way.target)) return { where: way.node, target: way.target };
  const hop = way.hops.find(isAt);
  const [, host = '', port = '22'] = /^(.*):(\d+)$/.exec(address) ?? [];
  const target = hop ?? { ...way.target, alias: host, host, port: Number(port) };
  return { where: `${way.node} (jump ${target.alias})`, target };
}

/** The key of the place that ssh is at, which nobody has vouched for. */
export function unknownHostKey(
  { where, target }: OpensshPlace,
  log: OpensshLog,
  asked: { readonly name: string; readonly fingerprint: string } | undefined,
  canAsk: boolean,
): UserError {
  const { hostKey } = log.hop;
  const name = asked?.name ?? keyName(target);
  const fingerprint = asked?.fingerprint ?? hostKey?.fingerprint ?? '';
  const keyType = hostKey?.type ?? 'a key';
  const file = target.userKnownHostsFiles[0];
  if (canAsk && asked !== undefined && file !== undefined) {
    return new UnknownHostKey(target.alias, { name, keyType, fingerprint, knownHostsFile: file });
  }
  return new UserError(
    'node.hostKeyUnknown',
    `The host key of ${name} is not known (${`${keyType} ${fingerprint}`.trim()}).`,
    {
      hint: `Compare the fingerprint, then accept it once: ssh ${target.alias}`,
      cause: new Error(where),
    },
  );
}

/** The first of ssh's lines that says why decides; what comes after it are consequences. */
export function opensshFailure(way: OpensshWay, log: OpensshLog): UserError {
  const place = placeOf(way, log);
  for (const { text, isFromLogin } of log.lines) {
    for (const [pattern, explain] of isFromLogin
      ? loginReasons
      : [...wayReasons, ...loginReasons]) {
      const match = pattern.exec(text);
      const error = match === null ? undefined : explain({ way, place, log, match });
      if (error !== undefined) return error;
    }
  }
  const said = log.words.at(-1) ?? log.lines.at(-1)?.text ?? 'ssh ended without a word';
  return loginFailure(place.where, place.target, new Error(said), log.hop.tried);
}

interface Facts {
  readonly way: OpensshWay;
  readonly place: OpensshPlace;
  readonly log: OpensshLog;
  readonly match: RegExpExecArray;
}

/** A reason that gives undefined was none after all. */
type Reason = readonly [RegExp, (facts: Facts) => UserError | undefined];

const socketCodes: readonly (readonly [RegExp, string])[] = [
  [/refused/, 'ECONNREFUSED'],
  [/No route to host|Host is down/, 'EHOSTUNREACH'],
  [/Network is unreachable|Can't assign requested address/, 'ENETUNREACH'],
];

/** Not looked for while logging in: a node's banner could claim any of these. */
const wayReasons: readonly Reason[] = [
  [
    /Could not resolve hostname (\S+): (.*)$/,
    ({ way, match: [, host = '', why = ''] }) => {
      const { where, target } = placeNamed(way, host);
      const code = /temporary/i.test(why) ? 'EAI_AGAIN' : 'ENOTFOUND';
      return socketFailure(where, { ...target, host }, Object.assign(new Error(why), { code }));
    },
  ],
  [
    /^ssh: connect to host (\S+) port \d+: (.*)$/,
    ({ place: { where, target }, match: [, , why = ''] }) => {
      if (/timed out/.test(why)) return noAnswer(where, target);
      const code = socketCodes.find(([words]) => words.test(why))?.[1];
      const error = Object.assign(
        new Error(toDisplay(why, 200)),
        code === undefined ? {} : { code },
      );
      return socketFailure(where, target, error);
    },
  ],
  [/timed out during banner exchange/, ({ place }) => handshakeTooSlow(place.where)],
  [
    /^channel \d+: open failed: (.*)$/,
    ({ way, match: [, why = ''] }) => jumpRefused(way.node, way.target, new Error(why)),
  ],
  [/WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!/, changedHostKey],
  [/WARNING: REVOKED HOST KEY DETECTED!/, revokedHostKey],
  [
    /^(?:No \S+ host key is known for |Host key verification failed\.)/,
    ({ way, place, log }) => unknownHostKey(place, log, undefined, way.canAsk),
  ],
  [
    /(no matching .* found\. Their offer: .*)$/i,
    ({ place: { where }, match: [, words = ''] }) =>
      new UserError(
        'node.noCommonAlgorithm',
        `${where} and the ssh program of this machine share no algorithm: ${toDisplay(words, 200)}.`,
        { hint: 'The node offers only outdated algorithms; update its sshd.' },
      ),
  ],
  [
    /banner line (?:contains invalid|too long)|Bad packet length|Protocol major versions differ|Bad remote protocol version/,
    notSsh,
  ],
  [/^debug1: kex_exchange_identification: banner line \d+: (.*)$/, notSshAfterAll],
  [
    /^(.*(?:[Bb]ad configuration option|Bad owner or permissions on).*)$/,
    ({ way: { target }, match: [, words = ''] }) =>
      new UserError(
        'ssh.configInvalid',
        `The ssh configuration for "${target.alias}" cannot be used: ${toDisplay(words, 200)}.`,
        { hint: 'Correct that line, then refresh the nodes.' },
      ),
  ],
];

const loginReasons: readonly Reason[] = [
  [/Too many authentication failures/, refusedLogin],
  [/: Permission denied \([^)]*\)\.?$/, refusedLogin],
  [
    /^ssh_askpass: exec\(.*\): (.*)$/,
    ({ match: [, why = ''] }) =>
      new UserError('ssh.askpassBlocked', `ssh could not ask you for anything (${why}).`, {
        hint: 'Programs may not run in the directory for temporary files: set TMPDIR to another one.',
      }),
  ],
  [
    /^(?:kex|ssh)_exchange_identification: |^Connection (?:closed|reset) by |^Connection to .* (?:timed out|closed)|^ssh_dispatch_run_fatal: Connection to .*: (?:Broken pipe|Connection (?:reset|closed))/,
    ({ way, place, log }) => {
      const { proxyCommand } = place.target;
      const isProxy = proxyCommand !== undefined && !log.hop.hasSpoken && place.where === way.node;
      if (!isProxy) return closedEarly(place.where);
      const said = log.words.filter((line) => !/exchange_identification|^Connection /.test(line));
      return proxyFailure(place.where, said.at(-1) ?? 'it ended without a word');
    },
  ],
];

function placeNamed(way: OpensshWay, host: string): OpensshPlace {
  const hop = way.hops.find((known) => known.host === host);
  return hop === undefined || way.target.host === host
    ? { where: way.node, target: way.target }
    : { where: `${way.node} (jump ${hop.alias})`, target: hop };
}

function refusedLogin({ place: { where, target }, log, match }: Facts): UserError {
  const error = Object.assign(new Error(toDisplay(match.input, 200)), {
    level: 'client-authentication',
  });
  return loginFailure(
    where,
    { ...target, user: log.hop.user ?? target.user },
    error,
    log.hop.tried,
  );
}

function notSsh({ place: { where }, match }: Facts): UserError {
  return new UserError(
    'node.notSsh',
    `${where} does not speak SSH on that port (${toDisplay(match.input, 200)}).`,
    { hint: 'Check the port in your ssh configuration.' },
  );
}

/** A server may say anything before its version (RFC 4253 §4.2); without one it is no SSH server. */
function notSshAfterAll(facts: Facts): UserError | undefined {
  return facts.log.hop.hasSpoken ? undefined : notSsh(facts);
}

/** The lines of ssh's warning, of which each piece may be missing. */
function changedHostKey({ place, log }: Facts): UserError {
  const text = log.lines.map((line) => line.text).join('\n');
  const { hostKey } = log.hop;
  const name = keyName(place.target);
  const onFile = /^Offending (\S+) key in (.*)$/m.exec(text);
  const offered = hostKey === undefined ? 'another key' : `${hostKey.type} ${hostKey.fingerprint}`;
  const isOtherType =
    onFile !== null && hostKey !== undefined && !isTypeNamed(hostKey.type, onFile[1]!);
  const what = isOtherType ? `only a key of another type, ${onFile[1]},` : 'another key';
  return new UserError(
    'node.hostKeyChanged',
    `The host key of ${name} has changed: it offers ${offered}, ` +
      `but ${what} is on file (${onFile?.[2] ?? 'known_hosts'}).`,
    {
      hint:
        'Somebody may be listening in. Only if you know why it changed, remove the old key: ' +
        `ssh-keygen -R "${name}"`,
    },
  );
}

function revokedHostKey({ place }: Facts): UserError {
  return new UserError(
    'node.hostKeyRevoked',
    `The host key of ${keyName(place.target)} is marked as revoked.`,
    { hint: 'Do not connect; ask whoever runs the node.' },
  );
}

function keyName(target: SshTarget): string {
  return hostNames(target.host, target.port, target.hostKeyAlias).name;
}

/** Whether ssh's short name (`ED25519`, `ECDSA`) is the one of the type `ssh-ed25519`, `ecdsa-sha2-nistp256`. */
function isTypeNamed(type: string, shortName: string): boolean {
  return type.replace(/^ssh-/, '').toLowerCase().startsWith(shortName.toLowerCase());
}
