/**
 * What an end-to-end test starts from: the demo fleet, a VS Code with the packaged extension and the
 * fleet's settings, and a browser in front of it. `npm start` shows people the same.
 */
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parse as parseJsonc } from 'jsonc-parser';
import { startFleet } from '../../fleet/fleet.ts';
import { outDir, vsixFile } from '../../tools/project.mjs';
import { openWorkbench } from './browser.mjs';
import { ensureCodeServer, startCodeServer } from './codeServer.mjs';

/** @typedef {import('../../fleet/fleet.ts').Fleet} Fleet */
/** @typedef {import('./browser.mjs').Workbench} Workbench */

/** @typedef {Pick<Fleet, 'settingsFile'>} FleetWorkspace */

/**
 * The folder to open.
 *
 * @param {FleetWorkspace} fleet
 */
export const workspaceFolder = ({ settingsFile }) => path.dirname(path.dirname(settingsFile));

/**
 * The workspace's settings as user settings: those that name a file or a program count only there.
 *
 * @param {FleetWorkspace} fleet
 * @returns {Record<string, unknown>}
 */
export function fleetSettings({ settingsFile }) {
  return /** @type {Record<string, unknown>} */ (parseJsonc(readFileSync(settingsFile, 'utf8')));
}

/**
 * @typedef {object} FaultlineOptions
 * @property {string} name of the test: it gets folders of its own in test/out/e2e
 * @property {import('./browser.mjs').Theme} [theme]
 * @property {boolean} [load] whether requests come in by themselves; yes unless told
 * @property {Record<string, unknown>} [settings] user settings on top of the fleet's
 */

/**
 * Starts everything. Call `stop` in `after`; it ends what was started, the last first.
 *
 * @param {FaultlineOptions} options
 * @returns {Promise<{ workbench: Workbench, fleet: Fleet, stop: () => Promise<void> }>}
 */
export async function openFaultline({ name, theme, load = true, settings = {} }) {
  const folder = path.join(outDir, 'e2e', name);
  rmSync(folder, { recursive: true, force: true });
  await ensureCodeServer();
  /** @type {(() => Promise<unknown>)[]} */
  const started = [];
  const stop = async () => {
    for (let end = started.pop(); end !== undefined; end = started.pop()) await end();
  };
  try {
    const fleet = await startFleet({ dir: path.join(folder, 'fleet'), load });
    started.push(() => fleet.stop());
    const server = await startCodeServer({
      userDataDir: path.join(folder, 'user-data'),
      extensionsDir: path.join(folder, 'extensions'),
      folder: workspaceFolder(fleet),
      vsix: vsixFile,
      settings: { ...fleetSettings(fleet), ...settings },
    });
    started.push(() => server.stop());
    const workbench = await openWorkbench(server.url, { theme });
    started.push(() => workbench.close());
    return { workbench, fleet, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Runs the body of a test. When it fails, what the user would see then is saved as a picture,
 * `failed-NAME.png`, before the failure is passed on.
 *
 * @template T
 * @param {Workbench} workbench
 * @param {string} name
 * @param {() => Promise<T>} body
 * @returns {Promise<T>}
 */
export async function pictured(workbench, name, body) {
  try {
    return await body();
  } catch (error) {
    const picture = await workbench.screenshot(`failed-${name}`).catch(() => undefined);
    if (picture !== undefined) console.error(`    seen at the failure of "${name}": ${picture}`);
    throw error;
  }
}
