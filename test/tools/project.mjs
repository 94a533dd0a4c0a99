/** Where things are in the project. Node's own modules only: read before anything is installed. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The project's folder. */
export const root = path.resolve(import.meta.dirname, '../..');

/** @param {string[]} parts a path inside the project */
export const inProject = (...parts) => path.join(root, ...parts);

/** What is installed or made once and kept between starts; never in git, safe to delete. */
export const cacheDir = inProject('.cache');

/** What tests leave to be looked at: screenshots, logs, results. */
export const outDir = inProject('test', 'out');

/**
 * @typedef {object} Manifest
 * @property {string} name
 * @property {string} publisher
 * @property {string} version
 * @property {{ vscode: string }} engines
 */

/** @returns {Manifest} package.json, as far as the tools use it */
export function readManifest() {
  return /** @type {Manifest} */ (JSON.parse(readFileSync(inProject('package.json'), 'utf8')));
}

const { name, version } = readManifest();

/** The packaged extension, `faultline-<version>.vsix`. */
export const vsixFile = inProject(`${name}-${version}.vsix`);
