// What `ssh -v` says while it connects, hop by hop: the steps of the connection report, and what is needed to say
// in words why it failed (opensshFailures.ts).

import type { ConnectionReport } from './connectionReport.ts';

/**
 * What ssh is waiting for. The words of a node (its banner) may claim any: it sets clocks and sentences, and decides
 * whose words a question holds only where ssh itself marks the node's (`marksNodeWords`).
 */
export type OpensshStage =
  /** Not connected, or a jump host passes us on. */
  | 'connect'
  /** Version and key exchange. */
  | 'handshake'
  | 'login'
  /** A key was accepted: an agent or a security key may want a touch before it signs. */
  | 'sign'
  /** Logged in, at this hop or at the last. */
  | 'loggedIn';

/** One sshd on the way, as far as the log told. */
export interface OpensshHop {
  /** `host:port` as ssh connects to it; undefined before it says. */
  readonly address: string | undefined;
  readonly user: string | undefined;
  /** The node has said which SSH it speaks. */
  readonly hasSpoken: boolean;
  /** Its key's type and fingerprint. */
  readonly hostKey: { readonly type: string; readonly fingerprint: string } | undefined;
  /** RFC 4252's name of the way to log in that is being tried. */
  readonly method: string | undefined;
  /** For people: what was offered to the node, in order. */
  readonly tried: readonly string[];
}

const newHop: OpensshHop = {
  address: undefined,
  user: undefined,
  hasSpoken: false,
  hostKey: undefined,
  method: undefined,
  tried: [],
};

const maxLines = 400;
const maxLineLength = 2_000;

export interface OpensshLine {
  readonly text: string;
  /** It came while logging in, where the node's banner and questions stand between ssh's own words. */
  readonly isFromLogin: boolean;
}

export class OpensshLog {
  /** The last lines, oldest first. */
  readonly lines: OpensshLine[] = [];
  stage: OpensshStage = 'connect';
  hop: OpensshHop = newHop;
  /** ssh's own version, e.g. `OpenSSH_9.2p1`. */
  version: string | undefined;
  private readonly report: ConnectionReport;
  private endStep: ReturnType<ConnectionReport['begin']> | undefined;

  constructor(report: ConnectionReport) {
    this.report = report;
  }

  accept(text: string): void {
    const line = text.slice(0, maxLineLength);
    this.lines.push({ text: line, isFromLogin: this.isLoggingIn });
    if (this.lines.length > maxLines) this.lines.shift();
    for (const [pattern, act] of meanings) {
      const match = pattern.exec(line);
      if (match !== null) return act(this, match);
    }
  }

  /** The next step of the report; the one before went well. */
  step(title: string): void {
    this.endStep?.('ok');
    this.endStep = this.report.begin(title);
  }

  /** The step under way is over. */
  done(outcome: 'ok' | 'failed', detail?: string): void {
    this.endStep?.(outcome, detail);
    this.endStep = undefined;
  }

  note(title: string, detail?: string): void {
    this.report.note(title, detail);
  }

  offered(what: string): void {
    this.hop = { ...this.hop, tried: [...this.hop.tried, what] };
  }

  get isLoggingIn(): boolean {
    return this.stage === 'login' || this.stage === 'sign';
  }

  /** Since OpenSSH 8.5 `(user@host) ` stands before the words of a node that asks. */
  get marksNodeWords(): boolean {
    const [, major = 0, minor = 0] = /^OpenSSH_(\d+)\.(\d+)/.exec(this.version ?? '') ?? [];
    return Number(major) > 8 || (Number(major) === 8 && Number(minor) >= 5);
  }

  /** The lines that a node or a proxy wrote: everything but ssh's own notes. */
  get words(): readonly string[] {
    return this.lines.map(({ text }) => text).filter((line) => !/^debug\d: |^OpenSSH_/.test(line));
  }
}

type Meaning = readonly [RegExp, (log: OpensshLog, match: RegExpExecArray) => void];

const meanings: readonly Meaning[] = [
  [
    /^(OpenSSH_\S+?),? /,
    (log, [, version]) => {
      // Each hop's ssh says so; one line is enough.
      if (log.version !== undefined) return;
      log.note('Use the ssh program of this machine', version);
      log.version = version;
    },
  ],
  [
    /^debug1: Connecting to (\S+) \[(.*)\] port (\d+)\.$/,
    (log, [, host, address, port]) => {
      log.hop = { ...newHop, address: `${host}:${port}` };
      log.stage = 'connect';
      log.step(`Connect to ${address}:${port}`);
    },
  ],
  [
    /^debug1: Executing proxy command: /,
    (log) => {
      log.hop = newHop;
      log.stage = 'connect';
      log.step('Start the way through a jump host or ProxyCommand');
    },
  ],
  [/^debug1: Connection established\.$/, startHandshake],
  [
    /^debug1: Remote protocol version \S+, remote software version (.*)$/,
    (log, [, software]) => {
      // Through a proxy this is the first that is heard of it.
      if (log.stage !== 'handshake') startHandshake(log);
      log.hop = { ...log.hop, hasSpoken: true };
      log.done('ok', software);
    },
  ],
  [
    /^debug1: Authenticating to (.*) as '(.*)'$/,
    (log, [, address, user]) => {
      log.hop = { ...log.hop, address, user };
      log.step('Agree on keys and ciphers');
    },
  ],
  [
    /^debug1: Server host key: (\S+) (\S+)/,
    (log, [, type = '', fingerprint = '']) => {
      log.hop = { ...log.hop, hostKey: { type, fingerprint } };
      log.step('Check the host key');
    },
  ],
  [/^debug1: Host '.*' is known and matches /, (log) => log.done('ok', describeKey(log.hop))],
  [
    /^debug1: SSH2_MSG_SERVICE_ACCEPT received$/,
    (log) => {
      log.stage = 'login';
      log.step(`Log in as ${log.hop.user ?? 'the user'}`);
    },
  ],
  [
    /^debug1: Next authentication method: (\S+)$/,
    (log, [, method = '']) => {
      log.stage = 'login';
      log.hop = { ...log.hop, method };
      // Of public keys each one is named below.
      if (method !== 'publickey') log.offered(method);
    },
  ],
  [
    /^debug1: Offering public key: (.*) (\S+) [A-Z0-9]+:\S+(.*)$/,
    (log, [, name = '', type = '', from = '']) => {
      log.stage = 'login';
      const kind = `${type.endsWith('-CERT') ? 'certificate ' : ''}${name}`;
      log.offered(from.includes(' agent') ? `agent key ${kind}` : `key ${kind}`);
    },
  ],
  [/^debug1: Trying private key: (.*)$/, (log, [, file]) => log.offered(`key ${file}`)],
  [
    /^no such identity: (.*): /,
    (log, [, file]) => {
      const tried = log.hop.tried.filter((what) => what !== `key ${file}`);
      log.hop = { ...log.hop, tried };
    },
  ],
  [
    /^Permissions \d+ for '(.*)' are too open\.$/,
    (log, [, file]) => log.offered(`key ${file} (others can read it, so ssh does not use it)`),
  ],
  [
    /^Load key "(.*)": (.*)$/,
    (log, [, file, why = '']) => {
      // What others can read has been named by the line before.
      if (!/bad permissions/.test(why)) log.offered(`key ${file} (${why})`);
    },
  ],
  [/^debug1: Server accepts key: /, (log) => void (log.stage = 'sign')],
  [
    /^debug1: get_agent_identities: ssh_(?:get_authentication_socket|fetch_identitylist): (.*)$/,
    (log, [, why]) => log.offered(`the agent (${why})`),
  ],
  [
    /^Authenticated using "(.*)" with partial success\.$/,
    (log) => {
      log.stage = 'login';
      log.offered('accepted, and then');
    },
  ],
  [
    /^(?:debug1: )?Authenticat(?:ed|ion succeeded)(?: to .* using "(.*)"\.| \((.*)\)\.)$/,
    (log, [, method, older]) => {
      log.stage = 'loggedIn';
      log.done('ok', `with ${method ?? older}`);
      // Behind a jump host the next one follows.
      log.hop = newHop;
    },
  ],
];

function startHandshake(log: OpensshLog): void {
  log.stage = 'handshake';
  log.step('Hear which SSH it speaks');
}

function describeKey({ hostKey }: OpensshHop): string | undefined {
  return hostKey === undefined ? undefined : `${hostKey.type} ${hostKey.fingerprint}`;
}
