/** The second phase of `npm start`, on Node 24: packages, fleet and a VS Code that shows them. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { parse as parseJsonc } from 'jsonc-parser';
import { describeError, UserError } from '../../src/base/errors.ts';
import {
  ensureCodeServer,
  isCodeServerInstalled,
  startCodeServer,
} from '../e2e/harness/codeServer.mjs';
import { startFleet } from '../fleet/fleet.ts';
import { CleanUp } from './cleanUp.mjs';
import { findDesktopCode, startDesktopCode } from './desktopCode.mjs';
import { fingerprint, stamp } from './fingerprint.mjs';
import { packageIfChanged } from './package.mjs';
import { step } from './progress.mjs';
import { cacheDir, root, vsixFile } from './project.mjs';
import { Stop } from './stop.mjs';
import { installFleetPackages } from './systemPackages.mjs';

/** @typedef {import('../fleet/fleet.ts').Fleet} Fleet */

const demoDir = path.join(cacheDir, 'demo');

/** Always the same address when it is free, so that the browser keeps its layout of the workbench. */
const DEFAULT_PORT = 8717;

/**
 * @typedef {object} DemoOptions
 * @property {boolean} open whether to open a VS Code or a browser
 * @property {number | undefined} port of code-server
 */

/** @param {string[]} args of the command line */
export async function startDemo(args) {
  const options = parseOptions(args);
  const cleanUp = new CleanUp();
  let isStopping = false;
  const stopped = new Promise((resolve) => {
    cleanUp.onSignal(() => {
      isStopping = true;
      console.log('\nStopping…');
      void cleanUp.run().then(() => {
        console.log('Everything that was started has ended.');
        process.exit(0);
      });
    });
    cleanUp.add(async () => resolve(undefined));
  });
  try {
    await bringUp(options, cleanUp);
    await stopped;
  } catch (error) {
    // Whatever breaks because it is being stopped is not worth a word.
    if (isStopping) await new Promise(() => undefined);
    await cleanUp.run();
    throw error instanceof UserError ? new Stop(describeError(error)) : error;
  }
}

/**
 * @param {string[]} args
 * @returns {DemoOptions}
 */
function parseOptions(args) {
  try {
    const { values } = parseArgs({
      args,
      options: { 'no-open': { type: 'boolean' }, port: { type: 'string' } },
    });
    const port = values.port === undefined ? undefined : Number(values.port);
    if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
      throw new Error(`"${values.port}" is not a port`);
    }
    return { open: values['no-open'] !== true, port };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Stop(`${why}. Usage: npm start -- [--no-open] [--port N]`);
  }
}

/**
 * @param {DemoOptions} options
 * @param {CleanUp} cleanUp
 */
async function bringUp(options, cleanUp) {
  await installFleetPackages('npm start');
  await step('Building and packaging the extension', packageIfChanged);
  const desktop = options.open ? await findDesktopCode() : undefined;
  if (desktop === undefined && !isCodeServerInstalled()) {
    await step('Installing code-server, a VS Code for the browser', (onProgress) =>
      ensureCodeServer({ onProgress }),
    );
  }
  const fleet = await step('Starting the demo fleet', (onProgress) =>
    startFleet({ dir: path.join(cacheDir, 'fleet'), load: true, onProgress }),
  );
  cleanUp.add(() => fleet.stop());
  if (desktop === undefined) await showInBrowser(fleet, options, cleanUp);
  else await showOnDesktop(desktop, fleet, cleanUp);
  console.log('Ctrl-C stops everything.');
}

/**
 * @param {Fleet} fleet
 * @param {DemoOptions} options
 * @param {CleanUp} cleanUp
 */
async function showInBrowser(fleet, { open, port }, cleanUp) {
  const extensionsDir = path.join(demoDir, 'extensions');
  const vsix = fingerprint([path.relative(root, vsixFile)]);
  const installed = stamp('demo-extension');
  const isInstalled = existsSync(extensionsDir) && installed.matches(vsix);
  const server = await step('Starting VS Code', () => {
    const start = (/** @type {number} */ onPort) =>
      startCodeServer({
        userDataDir: path.join(demoDir, 'user-data'),
        extensionsDir,
        folder: workspaceFolder(fleet),
        port: onPort,
        vsix: isInstalled ? undefined : vsixFile,
        settings: fleetSettings(fleet),
      });
    return start(port ?? DEFAULT_PORT).catch((error) => {
      if (!isPortTaken(error)) throw error;
      if (port === undefined) return start(0);
      throw new Stop(`Port ${port} is taken: choose another one with "npm start -- --port N".`);
    });
  });
  cleanUp.add(() => server.stop());
  installed.set(vsix);
  void server.ended.then(() => stopUnasked(cleanUp, 'code-server has ended'));
  describe(fleet);
  console.log(`\nOpen  ${server.url}\n`);
  if (open) openInBrowser(server.url);
}

/**
 * @param {string} command the desktop's `code`
 * @param {Fleet} fleet
 * @param {CleanUp} cleanUp
 */
async function showOnDesktop(command, fleet, cleanUp) {
  const window = await step('Starting VS Code', () =>
    startDesktopCode({
      command,
      userDataDir: path.join(demoDir, 'desktop-user-data'),
      extensionsDir: path.join(demoDir, 'desktop-extensions'),
      folder: workspaceFolder(fleet),
      vsix: vsixFile,
      settings: fleetSettings(fleet),
    }),
  );
  cleanUp.add(() => window.stop());
  void window.closed.then(() => stopUnasked(cleanUp, 'VS Code was closed', 0));
  describe(fleet);
}

/**
 * @param {CleanUp} cleanUp
 * @param {string} why
 * @param {number} [exitCode]
 */
async function stopUnasked(cleanUp, why, exitCode = 1) {
  if (cleanUp.isRunning) return;
  console.log(`${why}: stopping the rest.`);
  await cleanUp.run();
  process.exit(exitCode);
}

/** @param {Fleet} fleet */
const workspaceFolder = ({ settingsFile }) => path.dirname(path.dirname(settingsFile));

/**
 * The workspace's settings as user settings: those that name a file or a program count only there.
 *
 * @param {Fleet} fleet
 * @returns {Record<string, unknown>}
 */
function fleetSettings({ settingsFile }) {
  return /** @type {Record<string, unknown>} */ (parseJsonc(readFileSync(settingsFile, 'utf8')));
}

/** @param {Fleet} fleet */
function describe({ nodes, mode }) {
  console.log(`\nThe demo fleet (${mode}):`);
  for (const { name, host, port, clockSkewMs, services } of nodes) {
    const running = services.map((service) => service.name).join(', ');
    const clock = clockSkewMs === 0 ? '' : `, clock ${clockSkewMs / 1000} s ahead`;
    console.log(`  ${name.padEnd(8)} ${host}:${port}  ${running}${clock}`);
  }
}

/** @param {string} url */
function openInBrowser(url) {
  const hasDisplay = ['DISPLAY', 'WAYLAND_DISPLAY'].some((name) => process.env[name] !== undefined);
  const opener = process.platform === 'darwin' ? 'open' : hasDisplay ? 'xdg-open' : undefined;
  if (opener === undefined) return;
  // Without a browser the printed address remains.
  spawn(opener, [url], { stdio: 'ignore', detached: true })
    .on('error', () => undefined)
    .unref();
}

/** @param {unknown} error */
const isPortTaken = (error) =>
  error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
