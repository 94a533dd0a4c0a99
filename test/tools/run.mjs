/** Running a program to its end. */
import { spawn } from 'node:child_process';
import { onOrphaned } from './node24.mjs';
import { root } from './project.mjs';

/**
 * @typedef {object} Ended
 * @property {number | null} code exit code; null when a signal ended it
 * @property {NodeJS.Signals | null} signal
 * @property {boolean} timedOut
 * @property {string} output stdout and stderr together, as they came
 */

/**
 * @typedef {object} RunOptions
 * @property {string} [cwd] the project's folder unless given
 * @property {NodeJS.ProcessEnv} [env] the whole environment; ours unless given
 * @property {number} [timeoutMs] after which it is killed
 * @property {boolean} [show] also show the output as it comes
 */

/**
 * Runs a program to its end. Without a standard input it can ask nothing. It has a process group of
 * its own, which ends with it and with us: what it leaves behind would hold its output open.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<Ended>}
 */
export function run(command, args, { cwd = root, env = process.env, timeoutMs, show } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const endGroup = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // All of it has ended.
      }
    };
    process.once('exit', endGroup);
    let timedOut = false;
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            endGroup();
          }, timeoutMs);
    /** @type {Buffer[]} */
    const chunks = [];
    for (const [from, to] of /** @type {const} */ ([
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ])) {
      from.on('data', (/** @type {Buffer} */ bytes) => {
        chunks.push(bytes);
        if (show === true) to.write(bytes);
      });
    }
    child.on('error', reject);
    child.on('exit', endGroup);
    child.on('close', (code, signal) => {
      process.off('exit', endGroup);
      clearTimeout(timer);
      resolve({ code, signal, timedOut, output: Buffer.concat(chunks).toString() });
    });
  });
}

/**
 * Leaves in good order when told to: a process that a signal ends at once could not end what it runs.
 * For programs that have nothing else to stop.
 */
export function leaveOnSignal() {
  const leave = () => process.exit(1);
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.on(signal, leave);
  }
  onOrphaned(leave);
}
