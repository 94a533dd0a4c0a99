/** The desktop VS Code, with a profile of its own: the user's settings and extensions stay untouched. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { writeUserSettings } from '../e2e/harness/codeServer.mjs';
import { startLeashed } from './leash.mjs';
import { readManifest } from './project.mjs';
import { run } from './run.mjs';
import { Stop } from './stop.mjs';

const CODE_TIMEOUT_MS = 60_000;

/**
 * @returns {Promise<string | undefined>} the command of a desktop VS Code that can be used here
 */
export async function findDesktopCode() {
  const onLinux = process.platform === 'linux';
  const hasDisplay = ['DISPLAY', 'WAYLAND_DISPLAY'].some((name) => process.env[name] !== undefined);
  // In the terminal of a remote VS Code, `code` talks to that one and knows no profile folders.
  const isRemoteCommand = process.env['VSCODE_IPC_HOOK_CLI'] !== undefined;
  if ((onLinux && !hasDisplay) || isRemoteCommand) return undefined;
  const version = await run('code', ['--version'], { timeoutMs: CODE_TIMEOUT_MS }).catch(
    () => undefined,
  );
  if (version === undefined || version.code !== 0) return undefined;
  const [found = ''] = version.output.split('\n');
  const needed = readManifest().engines.vscode.replace('^', '');
  if (isAtLeast(found, needed)) return 'code';
  console.log(
    `VS Code ${found} is too old (Faultline needs ${needed}): using code-server instead.`,
  );
  return undefined;
}

/**
 * @param {string} found
 * @param {string} needed
 */
export function isAtLeast(found, needed) {
  const [have, want] = [found, needed].map((version) => version.trim().split('.').map(Number));
  for (const [position, least] of (want ?? []).entries()) {
    const part = have?.[position] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}

/**
 * @typedef {object} DesktopOptions
 * @property {string} command
 * @property {string} userDataDir
 * @property {string} extensionsDir
 * @property {string} folder
 * @property {string} vsix
 * @property {Record<string, unknown>} settings
 */

/**
 * @param {DesktopOptions} options
 * @returns {Promise<{ closed: Promise<unknown>, stop: () => Promise<void> }>} `closed` when the user
 *   closes the window
 */
export async function startDesktopCode({
  command,
  userDataDir,
  extensionsDir,
  folder,
  vsix,
  settings,
}) {
  writeUserSettings(userDataDir, settings);
  const profile = ['--user-data-dir', userDataDir, '--extensions-dir', extensionsDir];
  // Chromium's sandbox does not start for root.
  if (process.getuid?.() === 0) profile.push('--no-sandbox');
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VSCODE|ELECTRON)_/.test(name)),
  );
  const installed = await run(command, [...profile, '--install-extension', vsix, '--force'], {
    env,
    timeoutMs: CODE_TIMEOUT_MS,
  });
  if (installed.code !== 0) {
    throw new Stop(
      `${installed.output.trim()}\n${vsix} could not be installed into VS Code: see above.`,
    );
  }
  const window = startLeashed(command, [...profile, '--new-window', '--wait', folder], {
    env,
    logFile: path.join(userDataDir, 'start.log'),
  });
  return {
    closed: window.ended,
    stop: async () => {
      await endProfile(userDataDir);
      await window.stop();
    },
  };
}

/**
 * The command only talks to the application, which notes its pid in its profile.
 *
 * @param {string} userDataDir
 */
async function endProfile(userDataDir) {
  const lockFile = path.join(userDataDir, 'code.lock');
  if (!existsSync(lockFile)) return;
  const pid = Number(readFileSync(lockFile, 'utf8'));
  // The note may be an old one, and the pid another program's by now.
  const { output } = await run('ps', ['-o', 'args=', '-p', String(pid)]);
  if (output.includes(userDataDir)) process.kill(pid, 'SIGTERM');
}
