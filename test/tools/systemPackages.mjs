/** Debian packages that the project needs around Node: installed as root, named otherwise. */
import { existsSync } from 'node:fs';
import { missingSystemPackages } from '../fleet/fleet.ts';
import { requireSystemPackages } from '../fleet/system.ts';
import { run } from './run.mjs';
import { step } from './progress.mjs';
import { Stop } from './stop.mjs';

/**
 * @param {readonly string[]} missing names of Debian packages
 * @param {string} retry the command to run again afterwards
 */
export async function installSystemPackages(missing, retry) {
  if (missing.length === 0) return;
  const names = missing.join(' ');
  const hasApt = existsSync('/usr/bin/apt-get');
  if (!hasApt || process.getuid?.() !== 0) {
    const how = hasApt
      ? `sudo apt-get install -y --no-install-recommends ${names}`
      : `your system's package manager for what Debian calls ${names}`;
    throw new Stop(`Some system packages are missing. Run ${how}, then "${retry}" again.`);
  }
  await step(`Installing ${names}`, async () => {
    const first = await aptGet('install', ...missing);
    if (first.code === 0) return;
    // A new machine has no package lists, or old ones.
    await aptGet('update');
    const second = await aptGet('install', ...missing);
    if (second.code !== 0) {
      throw new Stop(
        `${second.output.trim()}\napt-get could not install ${names}: see above, then run "${retry}" again.`,
      );
    }
  });
}

/**
 * What the demo fleet asks for. Some of it costs a feature only, and then is no reason to stop.
 *
 * @param {string} retry the command to run again afterwards
 */
export async function installFleetPackages(retry) {
  try {
    await installSystemPackages(missingSystemPackages(), retry);
  } catch (error) {
    if (!(error instanceof Stop) || !hasRequiredPackages()) throw error;
    console.log(`Going on with fewer features. ${error.message}`);
  }
}

/** @returns {boolean} */
function hasRequiredPackages() {
  try {
    requireSystemPackages();
    return true;
  } catch {
    return false; // The caller says it, with what else is missing.
  }
}

/** @param {string[]} args */
const aptGet = (...args) =>
  run('apt-get', ['-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
