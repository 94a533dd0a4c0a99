// A real ssh-agent for the length of a test, and one in front of it that takes its time.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from './eventually.ts';

export interface TestAgent extends AsyncDisposable {
  readonly socket: string;
  add(...keyFiles: readonly string[]): void;
  /** With a passphrase of no interest; a locked agent shows no keys. */
  lock(): Promise<void>;
}

export async function startAgent(folder: string): Promise<TestAgent> {
  const socket = join(folder, `agent-${Math.random().toString(16).slice(2)}`);
  const child = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  await eventually(() => {
    if (!existsSync(socket)) throw new Error('the agent does not listen');
  });
  const sshAdd = (args: readonly string[], env: NodeJS.ProcessEnv = {}): void => {
    execFileSync('ssh-add', args, {
      env: { ...process.env, SSH_AUTH_SOCK: socket, ...env },
      stdio: 'pipe',
    });
  };
  return {
    socket,
    add: (...keyFiles) => sshAdd(['-q', ...keyFiles]),
    lock: async () => {
      const askpass = join(folder, 'askpass');
      await writeFile(askpass, '#!/bin/sh\necho secret\n');
      await chmod(askpass, 0o700);
      sshAdd(['-x'], { SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0' });
    },
    [Symbol.asyncDispose]: async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      await gone;
    },
  };
}

/** Message numbers of draft-miller-ssh-agent. */
const signRequest = 13;

export interface SlowAgent extends AsyncDisposable {
  readonly socket: string;
  /** Requests to sign so far. */
  readonly signatures: () => number;
}

/** Passes everything on to another agent; requests to sign after `delayMs`, or never. */
export async function slowAgent(
  folder: string,
  inner: string,
  delayMs: number,
): Promise<SlowAgent> {
  const socket = join(folder, `slow-${Math.random().toString(16).slice(2)}`);
  let signatures = 0;
  const server = createServer((client) => {
    const agent = connect(inner);
    for (const side of [client, agent]) side.on('error', () => undefined);
    agent.pipe(client);
    client.on('close', () => agent.destroy());
    client.on('data', (bytes) => {
      if (bytes[4] !== signRequest) return agent.write(bytes);
      signatures++;
      if (delayMs < Infinity) setTimeout(() => agent.write(bytes), delayMs);
      return true;
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(socket, () => resolve());
  });
  return {
    socket,
    signatures: () => signatures,
    [Symbol.asyncDispose]: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
