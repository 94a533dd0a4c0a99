/**
 * The project's tools run on Node 24 (TypeScript without a loader, node:sqlite), whatever Node is
 * installed: npm puts a Node 24 into node_modules as an ordinary package. As a program,
 * `node node24.mjs SCRIPT ARG…` runs a script on it.
 *
 * Node's own modules only: this runs on Node 20 too.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { inProject } from './project.mjs';
import { exitWith, Stop } from './stop.mjs';

const NEEDED_MAJOR = 24;
const PARENT_CHECK_MS = 500;

const major = (/** @type {string} */ version) => Number(version.replace(/^v/, '').split('.')[0]);

/**
 * The Node 24 that came with `npm ci`. Its link node_modules/.bin/node is not relied on: npm 10
 * loses it when it drops the package of the other processor.
 */
export const packagedNode = inProject(
  'node_modules',
  `node-${process.platform}-${process.arch}`,
  'bin',
  'node',
);

/** @returns {string} the Node to run the project's tools with */
export function toolNode() {
  if (major(process.version) >= NEEDED_MAJOR) return process.execPath;
  if (existsSync(packagedNode)) return packagedNode;
  throw new Stop(
    `This step needs Node ${NEEDED_MAJOR}, and none comes as a package for ` +
      `${process.platform}-${process.arch} (this is Node ${process.version}): ` +
      `run "npm ci", or install Node ${NEEDED_MAJOR}, then run the same command again.`,
  );
}

/**
 * Returns when this process is Node 24; otherwise runs the same script with the same arguments on
 * Node 24, passes signals and the exit code on, and never returns.
 */
export async function continueOnNode24() {
  if (major(process.version) >= NEEDED_MAJOR) return;
  process.exit(await runOnNode24(process.argv.slice(1)));
}

/**
 * @param {string[]} argv script and arguments
 * @returns {Promise<number>} its exit code; 128 + n when signal n ended it
 */
async function runOnNode24(argv) {
  const child = spawn(toolNode(), argv, { stdio: 'inherit' });
  // Ctrl-C reaches the whole terminal group, the child included; the others come to us alone.
  process.on('SIGINT', () => undefined);
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => child.kill(signal));
  }
  onOrphaned(() => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
  });
}

/** @param {NodeJS.Signals | null} signal */
const signalNumber = (signal) => (signal === null ? 0 : constants.signals[signal]);

/**
 * Calls `stop` when the process that started this one is gone. npm, for one, ends at SIGTERM without
 * a word to the programs behind its shell; that shell lives on when npm is killed.
 *
 * @param {() => void} stop
 */
export function onOrphaned(stop) {
  const byNpm = process.env['npm_lifecycle_event'] !== undefined;
  const ancestors = () => `${process.ppid} ${byNpm ? parentOf(process.ppid) : ''}`;
  const first = ancestors();
  const timer = setInterval(() => {
    if (ancestors() === first) return;
    clearInterval(timer);
    stop();
  }, PARENT_CHECK_MS);
  timer.unref();
}

/**
 * @param {number} pid
 * @returns {string} its parent's pid; empty where there is no /proc, or no such process
 */
function parentOf(pid) {
  try {
    return /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}

if (process.argv[1] === import.meta.filename) {
  const [script, ...args] = process.argv.slice(2);
  if (script === undefined) exitWith(new Stop('Usage: node test/tools/node24.mjs SCRIPT [ARG…]'));
  runOnNode24([path.resolve(script), ...args]).then((code) => process.exit(code), exitWith);
}
