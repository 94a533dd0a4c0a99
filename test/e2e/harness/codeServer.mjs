/**
 * A real VS Code without a desktop: code-server, installed into the project's cache without a
 * compiler, run with folders of its own. Nothing in the home folder is read or written.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startLeashed } from '../../tools/leash.mjs';
import { toolNode } from '../../tools/node24.mjs';
import { cacheDir } from '../../tools/project.mjs';
import { run } from '../../tools/run.mjs';
import { Stop } from '../../tools/stop.mjs';
import { openGate } from './gate.mjs';

/** VS Code 1.139. */
const VERSION = '4.139.1';

const INSTALL_TIMEOUT_MS = 10 * 60_000;
const START_TIMEOUT_MS = 60_000;
const MAX_SOCKET_PATH = 100;

/** @typedef {import('../../tools/progress.mjs').OnProgress} OnProgress */

/** Where code-server is, or will be after `ensureCodeServer`. */
const home = path.join(cacheDir, `code-server-${VERSION}`);

const packageDir = (/** @type {string} */ installDir) =>
  path.join(installDir, 'node_modules', 'code-server');

/** @returns {boolean} */
export const isCodeServerInstalled = () => existsSync(home);

/**
 * Installs code-server when it is missing. It appears under its name only when it is complete, so
 * that an interrupted installation is never used.
 *
 * @param {{ onProgress?: OnProgress }} [options]
 * @returns {Promise<void>}
 */
export async function ensureCodeServer({ onProgress = () => undefined } = {}) {
  if (isCodeServerInstalled()) return;
  const installDir = `${home}.${process.pid}-${randomBytes(3).toString('hex')}.partial`;
  mkdirSync(installDir, { recursive: true });
  try {
    writeFileSync(path.join(installDir, 'package.json'), '{ "private": true }\n');
    const vscode = path.join(packageDir(installDir), 'lib', 'vscode');
    onProgress('the server (1 of 3)');
    await npmInstall(installDir, `code-server@${VERSION}`);
    onProgress('the editor (2 of 3)');
    await npmInstall(vscode, '--omit=dev');
    onProgress("the editor's own extensions (3 of 3)");
    await npmInstall(path.join(vscode, 'extensions'), '--omit=dev');
    replaceCompiledModules(vscode);
    moveIntoPlace(installDir);
  } finally {
    rmSync(installDir, { recursive: true, force: true });
  }
}

/**
 * @param {string} cwd
 * @param {string[]} args
 */
async function npmInstall(cwd, ...args) {
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { code, output } = await run('npm', ['install', ...args, ...flags], {
    cwd,
    // Node 24 first: code-server's packages ask for it.
    env: { ...process.env, PATH: `${path.dirname(toolNode())}:${process.env['PATH']}` },
    timeoutMs: INSTALL_TIMEOUT_MS,
  });
  if (code !== 0) {
    throw new Stop(
      `${output.trim()}\ncode-server ${VERSION} could not be installed: check the connection to ` +
        'the npm registry, then run the same command again.',
    );
  }
}

/**
 * Two small modules of the server exist as C++ only. Plain JavaScript does their work as well: one
 * watches the parent process, one writes log files.
 *
 * @param {string} vscode
 */
function replaceCompiledModules(vscode) {
  for (const name of ['native-watchdog', 'spdlog']) {
    cpSync(
      path.join(import.meta.dirname, 'modules', `${name}.cjs`),
      path.join(vscode, 'node_modules', '@vscode', name, 'index.js'),
    );
  }
}

/** @param {string} installDir */
function moveIntoPlace(installDir) {
  try {
    renameSync(installDir, home);
  } catch (error) {
    // Another process was faster; its installation is as good as ours.
    if (!existsSync(home)) throw error;
  }
}

/**
 * @typedef {object} CodeServerOptions
 * @property {string} userDataDir settings, state and logs of this VS Code
 * @property {string} extensionsDir its extensions
 * @property {string} [folder] opened by the URL
 * @property {number} [port] on 127.0.0.1; any free one unless given
 * @property {NodeJS.ProcessEnv} [env] on top of ours, for the extension host too
 * @property {string} [vsix] an extension to install before the start
 * @property {Record<string, unknown>} [settings] user settings, on top of `quietSettings`
 */

/**
 * @typedef {object} CodeServer
 * @property {string} url opens the folder; carries the token that lets a browser in
 * @property {string} origin http://127.0.0.1:PORT, without folder and token
 * @property {number} pid
 * @property {string} logFile
 * @property {Promise<number>} ended when it ends, for whatever reason
 * @property {() => Promise<void>} stop
 */

/** Settings that keep VS Code from asking and advertising: what is seen is the extension's doing. */
const quietSettings = {
  'chat.disableAIFeatures': true,
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'git.openRepositoryInParentFolders': 'never',
  'remote.autoForwardPorts': false,
  'security.workspace.trust.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  // The theme follows the system, which in tests is the browser: see `setTheme`.
  'window.autoDetectColorScheme': true,
  'window.restoreWindows': 'none',
  'workbench.enableExperiments': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
};

/**
 * Writes the user settings of a VS Code that has a data folder of its own. Settings of scope
 * "machine" are read from a second file there when VS Code runs as a server.
 *
 * @param {string} userDataDir
 * @param {Record<string, unknown>} settings
 */
export function writeUserSettings(userDataDir, settings) {
  for (const scope of ['User', 'Machine']) {
    mkdirSync(path.join(userDataDir, scope), { recursive: true });
    writeFileSync(
      path.join(userDataDir, scope, 'settings.json'),
      `${JSON.stringify({ ...quietSettings, ...settings }, undefined, 2)}\n`,
    );
  }
}

/**
 * @param {CodeServerOptions} options
 * @returns {Promise<CodeServer>}
 */
export async function startCodeServer({
  userDataDir,
  extensionsDir,
  folder,
  port = 0,
  env = {},
  vsix,
  settings = {},
}) {
  mkdirSync(userDataDir, { recursive: true, mode: 0o700 });
  mkdirSync(extensionsDir, { recursive: true, mode: 0o700 });
  writeUserSettings(userDataDir, settings);
  chmodSync(userDataDir, 0o700);
  const sockets = socketFolder(userDataDir);
  const socketPath = path.join(sockets.dir, 'server');
  const logFile = path.join(userDataDir, 'code-server.log');
  const common = {
    entry: path.join(packageDir(home), 'out', 'node', 'entry.js'),
    dirs: ['--user-data-dir', userDataDir, '--extensions-dir', extensionsDir],
    env: serverEnvironment(userDataDir, env),
  };
  // First of all the port: it may be taken.
  const gate = await openGate({ socketPath, port });
  if (vsix !== undefined) {
    await installVsix(vsix, common).catch(async (error) => {
      await gate.close();
      throw error;
    });
  }
  const server = startLeashed(
    toolNode(),
    [
      common.entry,
      ...common.dirs,
      ...['--config', path.join(userDataDir, 'code-server.yaml')],
      ...['--auth', 'none', '--socket', socketPath, '--socket-mode', '600'],
      ...['--session-socket', path.join(sockets.dir, 'session')],
      ...['--disable-telemetry', '--disable-update-check', '--disable-workspace-trust'],
      ...['--disable-getting-started-override', '--disable-proxy', '--ignore-last-opened'],
    ],
    { env: common.env, logFile },
  );
  const stop = async () => {
    await gate.close();
    await server.stop();
    sockets.remove();
  };
  try {
    await untilHealthy(socketPath, server, logFile);
  } catch (error) {
    await stop();
    throw error;
  }
  const query = new URLSearchParams({ tkn: gate.token });
  if (folder === undefined) query.set('ew', 'true');
  else query.set('folder', path.resolve(folder));
  return {
    url: `${gate.origin}/?${query.toString()}`,
    origin: gate.origin,
    pid: server.pid,
    logFile,
    ended: server.ended,
    stop,
  };
}

/**
 * A folder for Unix sockets that is ours alone. A socket's path has room for some 100 bytes only.
 *
 * @param {string} userDataDir
 * @returns {{ dir: string, remove: () => void }}
 */
function socketFolder(userDataDir) {
  const longestName = '/session';
  if (Buffer.byteLength(userDataDir) + longestName.length < MAX_SOCKET_PATH) {
    return { dir: userDataDir, remove: () => undefined };
  }
  const dir = mkdtempSync(path.join(tmpdir(), 'faultline-code-'));
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/**
 * @param {string} userDataDir
 * @param {NodeJS.ProcessEnv} env
 * @returns {NodeJS.ProcessEnv}
 */
function serverEnvironment(userDataDir, env) {
  const own = (/** @type {string} */ name) => path.join(userDataDir, 'xdg', name);
  // A VS Code terminal or extension host that we were started from must not shine through.
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(VSCODE|ELECTRON)_/.test(name),
  );
  return {
    ...Object.fromEntries(inherited),
    XDG_CACHE_HOME: own('cache'),
    XDG_CONFIG_HOME: own('config'),
    XDG_DATA_HOME: own('data'),
    ...env,
  };
}

/**
 * @param {string} vsix
 * @param {{ entry: string, dirs: readonly string[], env: NodeJS.ProcessEnv }} server
 */
async function installVsix(vsix, { entry, dirs, env }) {
  const args = [entry, ...dirs, '--install-extension', vsix, '--force'];
  const { code, output } = await run(toolNode(), args, { env, timeoutMs: START_TIMEOUT_MS });
  if (code !== 0 || /failed/i.test(output)) {
    throw new Stop(`${output.trim()}\n${vsix} could not be installed into code-server: see above.`);
  }
}

/**
 * @param {string} socketPath
 * @param {import('../../tools/leash.mjs').Leashed} server
 * @param {string} logFile
 */
async function untilHealthy(socketPath, server, logFile) {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await answers(socketPath))) {
    if (!server.isRunning() || Date.now() > deadline) {
      const log = readFileSync(logFile, 'utf8').trim().split('\n').slice(-20).join('\n');
      throw new Stop(`${log}\ncode-server did not start: see above and ${logFile}.`);
    }
    await delay(100);
  }
}

/**
 * @param {string} socketPath
 * @returns {Promise<boolean>}
 */
const answers = (socketPath) =>
  new Promise((resolve) => {
    const request = http.get({ socketPath, path: '/healthz', timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
