/**
 * The first phase of `npm start` and `npm test`: from a fresh clone and any Node from 20 on to
 * installed packages and Node 24. Node's own modules only.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { continueOnNode24 } from './node24.mjs';
import { step } from './progress.mjs';
import { inProject, root } from './project.mjs';
import { Stop } from './stop.mjs';

const LEAST_MAJOR = 20;

/** Installs the npm packages when they are missing or outdated, and goes on in Node 24. */
export async function prepare() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < LEAST_MAJOR) {
    throw new Stop(
      `Faultline needs Node ${LEAST_MAJOR} or newer and this is Node ${process.versions.node}: ` +
        'install a newer one (https://nodejs.org), then run the same command again.',
    );
  }
  if (!packagesMatchLock()) await step('Installing npm packages', installPackages);
  await continueOnNode24();
}

/**
 * @typedef {object} LockedPackage
 * @property {string} [version]
 * @property {boolean} [optional] may be missing, as on another platform
 */

/** @typedef {Record<string, LockedPackage>} LockedPackages by their path, node_modules/… */

/** @returns {boolean} whether node_modules holds what package-lock.json asks for */
function packagesMatchLock() {
  const wanted = readLock(inProject('package-lock.json'));
  // npm's own record of what it put into node_modules.
  const installed = readLock(inProject('node_modules', '.package-lock.json'));
  if (wanted === undefined || installed === undefined) return false;
  return missingPackages(wanted, installed).length === 0;
}

/**
 * @param {LockedPackages} wanted
 * @param {LockedPackages} installed
 * @returns {string[]} paths of the packages that are missing or of another version
 */
export function missingPackages(wanted, installed) {
  return Object.entries(wanted)
    .filter(([where, { version, optional }]) => {
      const isProject = where === '';
      const there = installed[where];
      if (isProject || (there === undefined && optional === true)) return false;
      return there?.version !== version;
    })
    .map(([where]) => where);
}

/**
 * @param {string} file
 * @returns {LockedPackages | undefined} undefined when the file is missing or broken
 */
function readLock(file) {
  try {
    const lock = /** @type {{ packages: LockedPackages }} */ (
      JSON.parse(readFileSync(file, 'utf8'))
    );
    return lock.packages;
  } catch {
    return undefined; // As good as not installed: `npm ci` then says what is wrong with it.
  }
}

/** @returns {Promise<void>} */
function installPackages() {
  // The npm that started us is the npm that the user chose; its path is a script for this Node.
  const npm = process.env['npm_execpath'];
  const [command, first] =
    npm?.endsWith('npm-cli.js') === true ? [process.execPath, [npm]] : ['npm', []];
  const args = [...first, 'ci', '--include=dev', '--include=optional', '--loglevel=error'];
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (/** @type {Buffer} */ bytes) => {
      output += bytes.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) =>
      reject(new Stop(`npm could not be started (${error.message}): install npm, then try again.`)),
    );
    child.on('close', (code) => {
      if (code === 0) return resolve();
      reject(
        new Stop(`${output.trim()}\n"npm ci" failed: see above, then run the same command again.`),
      );
    });
  });
}
