/**
 * A leash on a long-running program: `node leash.mjs PROGRAM ARG…` runs it in a process group of its
 * own and ends that group when the channel to the starter closes, however the starter ended, kill -9
 * included. So nothing that we started stays behind.
 */
import { fork, spawn } from 'node:child_process';
import { openSync } from 'node:fs';

/** A program gets this long to end by itself before it is killed. */
const GRACE_MS = 4000;

/**
 * @typedef {object} Leashed
 * @property {number} pid of the leash; the program is its only child
 * @property {Promise<number>} ended with the program's exit code
 * @property {() => boolean} isRunning
 * @property {() => Promise<void>} stop ends the program and waits for it
 */

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env: NodeJS.ProcessEnv, logFile: string }} options where its output goes
 * @returns {Leashed}
 */
export function startLeashed(program, args, { cwd, env, logFile }) {
  const log = openSync(logFile, 'a', 0o600);
  const leash = fork(import.meta.filename, [program, ...args], {
    cwd,
    env,
    execArgv: [],
    // Out of the terminal's group: Ctrl-C is for the starter, which then stops things in order.
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  /** @type {Promise<number>} */
  const ended = new Promise((resolve) => {
    leash.on('exit', (code) => resolve(code ?? 1));
    leash.on('error', () => resolve(1));
  });
  return {
    pid: leash.pid ?? 0,
    ended,
    isRunning: () => leash.exitCode === null && leash.signalCode === null,
    stop: async () => {
      if (leash.connected) leash.disconnect();
      await ended;
    },
  };
}

/** The leash itself. */
function holdLeash() {
  const [program, ...args] = process.argv.slice(2);
  if (program === undefined) throw new Error('Usage: node leash.mjs PROGRAM [ARG…]');
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], detached: true });
  const signalGroup = (/** @type {NodeJS.Signals} */ signal) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // The whole group is gone already.
    }
  };
  process.on('disconnect', () => {
    signalGroup('SIGTERM');
    setTimeout(() => signalGroup('SIGKILL'), GRACE_MS);
  });
  child.on('error', () => process.exit(127));
  child.on('exit', (code) => {
    signalGroup('SIGKILL'); // What it left behind in its group.
    process.exit(code ?? 1);
  });
}

if (process.argv[1] === import.meta.filename) holdLeash();
