/** Whether a step's inputs are what they were last time, so that a second start takes seconds. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cacheDir, inProject } from './project.mjs';

/**
 * @param {readonly string[]} inputs files and folders, relative to the project; missing ones count
 *   as missing
 * @returns {string} the same as long as names and contents are
 */
export function fingerprint(inputs) {
  const hash = createHash('sha256');
  for (const file of inputs.flatMap(filesBelow).sort()) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(inProject(file)))
      .update('\0');
  }
  return hash.digest('hex');
}

/**
 * @param {string} relative
 * @returns {string[]} the file itself or all files below the folder, relative to the project
 */
function filesBelow(relative) {
  const stat = statSync(inProject(relative), { throwIfNoEntry: false });
  if (stat === undefined) return [];
  if (!stat.isDirectory()) return [relative];
  return readdirSync(inProject(relative), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('__pycache__'))
    .map((entry) => path.relative(inProject(), path.join(entry.parentPath, entry.name)));
}

/**
 * Remembers the fingerprint with which a step was last done.
 *
 * @param {string} name the step's name, a file name in the cache folder
 */
export function stamp(name) {
  const file = path.join(cacheDir, `${name}.stamp`);
  return {
    /** @param {string} value */
    matches: (value) => {
      try {
        return readFileSync(file, 'utf8') === value;
      } catch {
        return false; // Never done here.
      }
    },
    /** @param {string} value */
    set: (value) => {
      mkdirSync(cacheDir, { recursive: true });
      writeFileSync(file, value);
    },
  };
}
