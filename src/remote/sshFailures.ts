// What went wrong on the way to a node, in words: one function a sentence, each with the next step.

import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import type { SshTarget } from './sshConfig.ts';

export function socketFailure(
  where: string,
  target: SshTarget,
  error: Error & { code?: string },
): UserError {
  const address = `${target.host}:${target.port}`;
  const failures: Readonly<Record<string, readonly [string, string, string]>> = {
    ENOTFOUND: [
      'node.nameNotFound',
      `The name ${target.host} of ${where} was not found.`,
      'Check the HostName in your ssh configuration and your network or VPN.',
    ],
    EAI_AGAIN: [
      'node.nameNotFound',
      `The name ${target.host} of ${where} could not be looked up.`,
      'Check your network or VPN.',
    ],
    ECONNREFUSED: [
      'node.refused',
      `${where} refused the connection at ${address}.`,
      'Check that sshd runs there and that the port is right.',
    ],
    EHOSTUNREACH: [
      'node.noRoute',
      `There is no route to ${where} (${address}).`,
      'Check your network or VPN.',
    ],
    ENETUNREACH: [
      'node.noRoute',
      `There is no route to ${where} (${address}).`,
      'Check your network or VPN.',
    ],
  };
  const [code, message, hint] = failures[error.code ?? ''] ?? [
    'node.unreachable',
    `${where} cannot be reached at ${address} (${error.code ?? error.message}).`,
    'Check your network or VPN.',
  ];
  return new UserError(code, message, { hint, cause: error });
}

export function noAnswer(where: string, target: SshTarget): UserError {
  return new UserError(
    'node.noAnswer',
    `${where} does not answer at ${target.host}:${target.port}.`,
    { hint: 'Check that it is up, and your network or VPN.' },
  );
}

export function jumpRefused(where: string, target: SshTarget, error: Error): UserError {
  return new UserError(
    'node.jumpRefused',
    `The jump host could not reach ${target.host}:${target.port} for ${where} ` +
      `(${toDisplay(error.message, 200)}).`,
    { hint: 'Check that the node is up and that the jump host allows forwarding.', cause: error },
  );
}

export function jumpLoop(node: string): UserError {
  return new UserError('ssh.jumpLoop', `The jump hosts of ${node} lead in a circle.`, {
    hint: 'Look at ProxyJump in your ssh configuration.',
  });
}

export function handshakeTooSlow(where: string): UserError {
  return new UserError(
    'node.handshakeTimeout',
    `${where} accepted the connection, but did not finish the SSH handshake in time.`,
    { hint: 'Check that an SSH server listens on that port and that it is not overloaded.' },
  );
}

export function closedEarly(where: string): UserError {
  return new UserError('node.closed', `${where} closed the connection before the login.`, {
    hint: 'Its sshd may limit new connections (MaxStartups) or refuse your address: try again later.',
  });
}

/** `head`: the first bytes that came, without a version of SSH among them. */
export function notSsh(where: string, head: Buffer): UserError {
  const refusal = refusals.exec(head.toString('latin1'))?.[0];
  if (refusal !== undefined) {
    return new UserError('node.closed', `${where} lets nobody in for now (it says: ${refusal}).`, {
      hint: 'Its sshd limits new connections (MaxStartups, PerSourcePenalties): wait a little.',
    });
  }
  return new UserError('node.notSsh', `${where} does not speak SSH on that port ${guess(head)}.`, {
    hint: 'Check the port in your ssh configuration.',
  });
}

/** What sshd says instead of its version while it takes no new connections. */
const refusals = /^(?:Exceeded MaxStartups|Not allowed at this time)\b/m;

function guess(head: Buffer): string {
  const line = head.toString('latin1').split(/\r?\n/)[0] ?? '';
  if (/^SSH-1\.(?!99-)/.test(line)) return `but version 1, which nobody should use any more`;
  if (/^HTTP\/|^<!doctype|^<html/i.test(line)) return '(it looks like a web server)';
  // A record of the types alert and handshake of TLS 1.x.
  if ((head[0] === 0x15 || head[0] === 0x16) && head[1] === 3) {
    return '(it looks like a TLS server)';
  }
  return `(it says: ${toDisplay(line, 60)})`;
}

/** Bytes that no SSH server sends: a broken device on the way, or a broken or hostile server. */
export function garbled(where: string, cause: Error): UserError {
  // ssh2 stumbles over a message that is out of place.
  const isBug = cause instanceof TypeError || cause instanceof RangeError;
  const what = isBug ? 'an unexpected message' : toDisplay(cause.message, 200);
  return new UserError('node.garbled', `${where} sent what is no valid SSH (${what}).`, {
    hint: 'Look at the network between, or ask whoever runs it.',
    cause,
  });
}

/** The node said goodbye, in its own words, before anybody was logged in. */
export function turnedAway(where: string, words: string): UserError {
  const said = toDisplay(words, 200);
  return new UserError('node.turnedAway', `${where} ended the connection (it says: ${said}).`, {
    hint: 'Ask whoever runs the node.',
  });
}

export function noCommonAlgorithm(where: string, cause: Error): UserError {
  // E.g. `Handshake failed: no matching C->S compression`.
  const what = /no matching (?:[CS]->[CS] )?(.*)$/.exec(cause.message)?.[1] ?? 'algorithm';
  return new UserError(
    'node.noCommonAlgorithm',
    `${where} and Faultline share no ${toDisplay(what, 60)}.`,
    { hint: 'The node offers only what is outdated or unusual: look at its sshd_config.', cause },
  );
}

/** What was offered to a node, as login.ts tells it. */
export interface LoginStory {
  readonly tried: readonly string[];
  /** A password or an answer went to the node. */
  readonly hasSentSecret: boolean;
  /** It would have taken an answer of a person, and nobody could be asked. */
  readonly lacksPerson: boolean;
}

export function loginRefused(
  where: string,
  target: SshTarget,
  story: LoginStory,
  cause: Error,
): UserError {
  const { tried } = story;
  const methods = tried.length === 0 ? 'no key was found to try' : `tried: ${tried.join(', ')}`;
  const isTooMany = /too many authentication failures/i.test(cause.message);
  const hint = story.lacksPerson
    ? 'It wants a password, a passphrase or an answer of yours: connect to it by hand.'
    : isTooMany
      ? 'It allows few tries: name the right key with IdentityFile, and set IdentitiesOnly.'
      : `Check that "ssh ${target.alias}" works, or add your key to the agent.`;
  return new UserError(
    'node.authRefused',
    `${where} refused the login of ${target.user} (${methods}).`,
    { hint, cause },
  );
}

/** For a transport that only knows the words of another program. */
export function loginFailure(
  where: string,
  target: SshTarget,
  error: Error & { level?: string },
  tried: readonly string[],
): UserError {
  if (error.level === 'client-authentication') {
    return loginRefused(where, target, { tried, hasSentSecret: false, lacksPerson: false }, error);
  }
  const text = toDisplay(error.message, 200);
  return new UserError('node.loginFailed', `The login on ${where} failed: ${text}.`, {
    hint: `See what "ssh -v ${target.alias}" says.`,
    cause: error,
  });
}

/** The node does not want us, or we not it: only a person can change that. */
export function isRefusal({ code }: UserError): boolean {
  return /^node\.(?:authRefused|login|hostKey|passwordExpired|tooManyQuestions)/.test(code);
}

/** The connection ended after the user had given an answer: it is not given again by itself. */
export function loginCut(where: string, target: SshTarget, story: LoginStory): UserError {
  return new UserError(
    'node.loginCut',
    `${where} closed the connection during the login of ${target.user} ` +
      `(tried: ${story.tried.join(', ')}).`,
    { hint: `Check that "ssh ${target.alias}" works.` },
  );
}

/** sshd waits for a login for two minutes (LoginGraceTime). */
export function answeredTooLate(where: string): UserError {
  return new UserError(
    'node.answeredTooLate',
    `${where} closed the connection while it waited for your answer.`,
    { hint: 'Connect again and answer within two minutes.' },
  );
}

export function tooManyQuestions(where: string): UserError {
  return new UserError(
    'node.tooManyQuestions',
    `${where} asked more questions than any login needs, and was cut off.`,
    { hint: 'Its login is broken or hostile: ask whoever runs it.' },
  );
}

export function loginCancelled(where: string, target: SshTarget): UserError {
  return new UserError(
    'node.loginCancelled',
    `The login of ${target.user} on ${where} was cancelled.`,
    { hint: 'Connect again when you have the passphrase or password at hand.' },
  );
}

export function passwordExpired(where: string, target: SshTarget): UserError {
  return new UserError(
    'node.passwordExpired',
    `${where} wants a new password for ${target.user} before it lets anybody in.`,
    { hint: `Change it in a terminal: ssh ${target.alias}` },
  );
}

export function proxyFailure(where: string, words: string): UserError {
  const said = toDisplay(words.trim().split('\n').at(-1) ?? '', 200);
  return new UserError('node.proxyFailed', `The ProxyCommand for ${where} failed: ${said}.`, {
    hint: 'Try that command in a terminal; it stands in your ssh configuration.',
  });
}

/** The last line that says something, safe to show in a sentence. */
export function lastLine(text: string): string {
  const lines = text.split(/[\r\n]+/).map((line) => toDisplay(line, 200).trim());
  return lines.findLast((line) => line !== '') ?? '';
}

export function misbehaving(where: string, what: string): UserError {
  return new UserError(
    'node.misbehaving',
    `${where} breaks the rules of SSH (${what}) and was cut off.`,
    { hint: 'Its SSH server is broken or hostile: ask whoever runs it.' },
  );
}

export function hostKeyChangedLater(where: string): UserError {
  return new UserError(
    'node.hostKeyChanged',
    `${where} came up with another host key in the middle of a connection, which was cut off.`,
    { hint: 'Somebody may be listening in: ask whoever runs it.' },
  );
}

export function sessionLimit(node: string, cause?: unknown): UserError {
  return new UserError('node.sessionLimit', `${node} allows no further session on a connection.`, {
    hint: 'Its sshd limits them (MaxSessions).',
    ...(cause === undefined ? {} : { cause }),
  });
}

export function noSessions(node: string, cause: unknown): UserError {
  return new UserError(
    'node.noSessions',
    `${node} lets you log in, but allows no session at all.`,
    {
      hint: 'Its sshd has MaxSessions 0 or forbids commands for this account.',
      cause,
    },
  );
}

export function terminalTaken(node: string, said: string): UserError {
  const words = lastLine(said);
  return new UserError(
    'node.terminalTaken',
    `${node} opened a terminal, but did not run the command there${words === '' ? '' : ` (it says: ${words})`}.`,
    {
      hint: 'The start-up files of the login shell may ask something or start another program on a terminal.',
    },
  );
}

export function noFreeSession(node: string, waitedMs: number): UserError {
  return new UserError(
    'node.busy',
    `${node} allows so few sessions at once that none was free for ${waitedMs / 1000} s.`,
    { hint: 'End a terminal, a log follow or a debug session there, or raise MaxSessions.' },
  );
}

export function connectionLost(node: string, cause?: unknown): UserError {
  return new UserError('node.connectionLost', `The connection to ${node} was lost.`, {
    hint: 'It is made again on the next use.',
    ...(cause === undefined ? {} : { cause }),
  });
}

export function channelRefused(node: string, error: Error): UserError {
  if (/no response|not connected/i.test(error.message)) return connectionLost(node, error);
  return new UserError(
    'node.channelRefused',
    `${node} refused to run a command (${toDisplay(error.message, 200)}).`,
    {
      hint: 'Its sshd may limit sessions (MaxSessions) or allow only file transfer.',
      cause: error,
    },
  );
}
