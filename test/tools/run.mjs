/** Running a program to its end. */
import { spawn } from 'node:child_process';
import { root } from './project.mjs';

/**
 * @typedef {object} Ended
 * @property {number | null} code exit code; null when a signal ended it
 * @property {NodeJS.Signals | null} signal
 * @property {string} output stdout and stderr together, as they came
 */

/**
 * @typedef {object} RunOptions
 * @property {string} [cwd] the project's folder unless given
 * @property {NodeJS.ProcessEnv} [env] the whole environment; ours unless given
 * @property {number} [timeoutMs] after which it is ended
 * @property {boolean} [show] also show the output as it comes
 */

/**
 * Runs a program to its end. Without a standard input it can ask nothing.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<Ended>}
 */
export function run(command, args, { cwd = root, env = process.env, timeoutMs, show } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer =
      timeoutMs === undefined ? undefined : setTimeout(() => child.kill('SIGTERM'), timeoutMs);
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
    // It ends with us when we are stopped half-way.
    const end = () => child.kill('SIGTERM');
    process.once('exit', end);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('exit', end);
      clearTimeout(timer);
      resolve({ code, signal, output: Buffer.concat(chunks).toString() });
    });
  });
}
