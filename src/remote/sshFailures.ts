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

export function loginFailure(
  where: string,
  target: SshTarget,
  error: Error & { level?: string },
  tried: readonly string[],
): UserError {
  const text = toDisplay(error.message, 200);
  if (error.level === 'client-authentication') {
    const methods = tried.length === 0 ? 'no key was found to try' : `tried: ${tried.join(', ')}`;
    return new UserError(
      'node.authRefused',
      `${where} refused the login of ${target.user} (${methods}).`,
      {
        hint: `Check that "ssh ${target.alias}" works, or add your key to the agent.`,
        cause: error,
      },
    );
  }
  if (/version|identification|protocol/i.test(text) && error.level === 'protocol') {
    return new UserError('node.notSsh', `${where} does not speak SSH on that port (${text}).`, {
      hint: 'Check the port in your ssh configuration.',
      cause: error,
    });
  }
  if (/handshake failed|no matching/i.test(text)) {
    return new UserError(
      'node.noCommonAlgorithm',
      `${where} and Faultline share no cipher: ${text}.`,
      {
        hint: 'The node offers only outdated algorithms; update its sshd.',
        cause: error,
      },
    );
  }
  if (/before handshake|ended|closed/i.test(text)) return closedEarly(where);
  return new UserError('node.loginFailed', `The login on ${where} failed: ${text}.`, {
    hint: `See what "ssh -v ${target.alias}" says.`,
    cause: error,
  });
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
