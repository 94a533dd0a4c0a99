// The way to a node's sshd: a TCP connection, or the ProxyCommand of the ssh configuration. We make it ourselves, since
// ssh2 leaves Nagle's algorithm on and cannot always destroy what it made (reliability.md P-10).

import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { connect as connectSocket, type Socket } from 'node:net';
import { basename } from 'node:path';
import { Duplex } from 'node:stream';
import { abortable, delay, withDeadline } from '../base/async.ts';
import { UserError } from '../base/errors.ts';
import type { ConnectionReport } from './connectionReport.ts';
import type { SshTarget } from './sshConfig.ts';
import { connectionLost, noAnswer, proxyFailure, socketFailure } from './sshFailures.ts';

/** Node tries the addresses of a name in turn; its own 250 ms are less than one round trip of a slow network. */
const nextAddressMs = 2_000;

export interface TcpOptions {
  /** The node's name, for error sentences. */
  readonly where: string;
  readonly target: SshTarget;
  readonly report: ConnectionReport;
  readonly timeoutMs: number;
}

/** Errors: `node.nameNotFound`, `node.refused`, `node.noRoute`, `node.unreachable`, `node.noAnswer`. */
export async function openTcp(
  { where, target, report, timeoutMs }: TcpOptions,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  const endLookup = report.begin(`Look up ${target.host}`);
  let endConnect: ReturnType<typeof report.begin> | undefined;
  const socket = connectSocket({
    host: target.host,
    port: target.port,
    noDelay: true,
    autoSelectFamilyAttemptTimeout: nextAddressMs,
  });
  const beginConnect = (address: string): void => {
    if (endConnect !== undefined) return;
    endLookup('ok', address);
    endConnect = report.begin(`Connect to ${address}:${target.port}`);
  };
  socket.on('lookup', (error: Error | null, address: string) => {
    if (error === null) beginConnect(address);
  });
  const connected = new Promise<Socket>((resolve, reject) => {
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) => reject(socketFailure(where, target, error)));
    socket.once('close', () => reject(connectionLost(where)));
  });
  try {
    await abortable(
      withDeadline(connected, timeoutMs, () => noAnswer(where, target)),
      signal,
    );
    // An address needs no looking up, and then no event comes.
    beginConnect(target.host);
    endConnect?.('ok');
    return socket;
  } catch (error) {
    // It may still be on its way: nobody would ever close it.
    socket.destroy();
    socket.on('error', () => {
      // Nobody waits for it any more.
    });
    (endConnect ?? endLookup)('failed', error instanceof Error ? error.message : String(error));
    throw error;
  }
}

export interface Proxy {
  readonly socket: Duplex;
  /** A better reason than `error` for a connection that ended, if the command told one. */
  whyClosed(error: unknown): Promise<unknown>;
}

const keptWords = 2_000;
/** What a command writes before it ends may arrive after the end of its output. */
const lastWordsMs = 500;
const killAfterMs = 2_000;

/** ProxyCommand comes from the user's own ssh configuration only, and is run by a shell as ssh does. */
export function runProxy(where: string, command: string, report: ConnectionReport): Proxy {
  // The program's name alone: its arguments may hold a password.
  report.note('Start the ProxyCommand', basename(command.trim().split(/\s+/)[0] ?? ''));
  const child = startProxy(command);
  let words = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    words = `${words}${chunk.toString()}`.slice(-keptWords);
  });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', (error) => {
      words = error.message;
      resolve();
    });
  });
  const socket = Duplex.from({ readable: child.stdout!, writable: child.stdin! });
  socket.on('error', () => {
    // The program's end is heard of as the end of the stream.
  });
  child.once('error', () => socket.destroy());
  socket.once('close', () => stop(child));
  const whyClosed = async (error: unknown): Promise<unknown> => {
    const isExplained = error instanceof UserError && proxyCodes.has(error.code);
    if (!isExplained) return error;
    const hasEnded = await Promise.race([
      ended.then(() => true),
      delay(lastWordsMs).then(() => false),
    ]);
    // A command that was stopped by us has nothing to say.
    if (!hasEnded || (words.trim() === '' && child.exitCode === null)) return error;
    if (words.trim() === '' && child.exitCode === 0) return error;
    return proxyFailure(where, words.trim() || `it ended with ${child.exitCode}`);
  };
  return { socket, whyClosed };
}

/** What a login ends with when the way to the node is gone. */
const proxyCodes = new Set(['node.closed', 'node.notSsh']);

function startProxy(command: string): ChildProcess {
  const options: SpawnOptions = { stdio: 'pipe', windowsHide: true };
  return process.platform === 'win32'
    ? spawn(command, { ...options, shell: true })
    : spawn('/bin/sh', ['-c', `exec ${command}`], options);
}

/**
 * Its stdin is closed by now, which ends most of them. One that has closed its stdout may still be saying why, as
 * `echo … >&2` of a shell is.
 */
function stop(child: ChildProcess): void {
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  if (hasEnded()) return;
  const timers = [
    setTimeout(() => child.kill(), lastWordsMs),
    setTimeout(() => child.kill('SIGKILL'), killAfterMs),
  ];
  child.once('exit', () => {
    for (const timer of timers) clearTimeout(timer);
  });
}
