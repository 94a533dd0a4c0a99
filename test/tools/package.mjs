/** `npm run package`: the production build as faultline-<version>.vsix in the project's folder. */
import { existsSync, rmSync, statSync } from 'node:fs';
import { build } from './build.mjs';
import { fingerprint, stamp } from './fingerprint.mjs';
import { continueOnNode24 } from './node24.mjs';
import { inProject, vsixFile } from './project.mjs';
import { leaveOnSignal, run } from './run.mjs';
import { exitWith, Stop } from './stop.mjs';

/** What an extension that opens at once may weigh. */
const MAX_VSIX_BYTES = 1.5 * 1024 * 1024;

/** Everything that the VSIX is made from. */
const INPUTS = [
  'src',
  'media',
  'syntaxes',
  'package.json',
  'package-lock.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  '.vscodeignore',
  'test/tools/build.mjs',
  'test/tools/package.mjs',
];

/** @returns {Promise<string>} one line about what was made */
export async function packageExtension() {
  const inputs = fingerprint(INPUTS);
  const sizes = await build({ production: true });
  const vsix = vsixFile;
  rmSync(vsix, { force: true });
  const vsce = await run(process.execPath, [
    inProject('node_modules', '@vscode', 'vsce', 'vsce'),
    'package',
    '--no-dependencies',
    '--out',
    vsix,
  ]);
  if (vsce.code !== 0 || !existsSync(vsix)) {
    throw new Stop(`${vsce.output.trim()}\nvsce could not package the extension: see above.`);
  }
  const { size } = statSync(vsix);
  if (size > MAX_VSIX_BYTES) {
    throw new Stop(`${vsix} has ${size} bytes; ${MAX_VSIX_BYTES} are allowed. See .vscodeignore.`);
  }
  packaged.set(inputs);
  return `${sizes}; VSIX ${(size / 1024).toFixed(0)} KB`;
}

/**
 * Packages when something it is made from has changed.
 *
 * @returns {Promise<string>} one line about what was done
 */
export async function packageIfChanged() {
  const upToDate = existsSync(vsixFile) && existsSync(inProject('dist', 'extension.js'));
  if (upToDate && packaged.matches(fingerprint(INPUTS))) return 'unchanged';
  return packageExtension();
}

const packaged = stamp('package');

async function main() {
  await continueOnNode24();
  leaveOnSignal();
  console.log(await packageExtension());
}

if (process.argv[1] === import.meta.filename) main().catch(exitWith);
