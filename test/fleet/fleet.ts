// The demo fleet: five real nodes on one machine, each with its own sshd, and on them a small real
// distributed application. `npm start` shows it, integration tests, end-to-end tests and benches
// use it.
//
//   client ─▶ gate-1  gateway ─┬▶ work-1  worker   healthy
//             (and the load)   ├▶ work-2  worker   pricelib 1.4.2, not 2.1.0: JPY fails
//                              ├▶ work-3  worker   no TARIFF_REGION: exports fail
//                              └▶ … ─▶ store-1  store   its clock is 3.5 s ahead
//
// Two modes:
//   namespaces  (root) a node has its own network, host name, /etc, /home, /srv, /opt, /tmp,
//               processes and a user `app`; reached at 10.231.N.11 … 15, port 22
//   loopback    (anyone) a node is one sshd at 127.231.N.11 … 15 as the present user, with its own
//               home, environment and directory tree `dir/nodes/NAME`; host names and system
//               packages are the machine's
//
// Everything lies in `dir`: keys/ (kept over restarts), nodes/NAME/ (the nodes' files), ssh_config,
// known_hosts, workspace/.vscode/settings.json, fleet.json (what runs, by pid and start time).
//
// Nothing outlives the fleet: each node's processes hang on one supervisor (node/supervise.py: PID
// 1 of the namespace, or a subreaper), and each supervisor holds the other end of a pipe of ours.
// When we stop it, end, or are killed, it ends its node; the kernel then takes the namespaces,
// mounts and links with it. None of them has a name outside, except the host's link flt<N>, which
// goes with the hub's network namespace.
//
// The shop (app/shop) logs in three formats: pino JSON, Python logging as Synapse lays it out,
// logfmt. Settlements are processes of their own under Faultline's recorder (src/probe/python),
// which lies at /opt/faultline.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../../src/base/errors.ts';
import { buildFleet } from './build.ts';
import type { FleetMode } from './plan.ts';
import { workspaceOf } from './settings.ts';
import { StateFile, endFleet, isRunning, readState, type FleetState } from './state.ts';
import { requireSystemPackages } from './system.ts';

export { missingSystemPackages } from './system.ts';
export { sendRequest } from './request.ts';

export interface FleetService {
  readonly name: string;
  /** As the node counts its processes. */
  readonly pid: number;
}

export interface FleetNode {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly labels: string[];
  /** Globs, as they go into `faultline.nodes`. */
  readonly logs: string[];
  /** How far its clock is ahead. */
  readonly clockSkewMs: number;
  /** Those that run: one that has ended is started again after a second. */
  readonly services: FleetService[];
}

export interface Fleet {
  readonly nodes: FleetNode[];
  readonly sshConfigFile: string;
  readonly knownHostsFile: string;
  /** JSONC with `faultline.nodes`, for `--settings`; it lies in the workspace to open. */
  readonly settingsFile: string;
  /** The private key that opens every node. */
  readonly identityFile: string;
  readonly dir: string;
  readonly mode: FleetMode;
  /** Where the shop takes requests, e.g. `http://10.231.17.11:7461`. */
  readonly gateUrl: string;
  /**
   * Ends every process, link and mount of the fleet; the files in `dir` stay. May be called again.
   */
  stop(): Promise<void>;
}

export interface FleetOptions {
  /** Made when missing. One fleet at a time. */
  readonly dir: string;
  /** `auto` (default): namespaces where the machine allows them, otherwise loopback; says why. */
  readonly mode?: FleetMode | 'auto';
  /** Whether about two requests a second come in by themselves (default). */
  readonly load?: boolean;
  /** Whether the fleet outlives this process, until somebody attaches and stops it. Default: no. */
  readonly detached?: boolean;
  /** Told at each step, in a sentence or less. */
  readonly onProgress?: (text: string) => void;
}

/**
 * Starts a fleet in `dir` and resolves when every sshd and every service answers.
 * Ends first what a killed starter left in the same directory; refuses when one is still running
 * there.
 */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  requireSystemPackages();
  mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  const dir = realpathSync(options.dir);
  const id = randomBytes(6).toString('hex');
  const file = await StateFile.claim(dir, id, options.detached ?? false);
  try {
    await buildFleet(
      {
        dir,
        mode: options.mode ?? 'auto',
        load: options.load ?? true,
        onProgress: options.onProgress ?? (() => {}),
      },
      file,
    );
  } catch (error) {
    await endFleet(dir, file.state);
    throw error;
  }
  return fleetOf(dir, file.state);
}

/**
 * The fleet that runs in `dir`, whoever started it; undefined when there is none, or not all of it
 * lives.
 */
export function attachFleet(dir: string): Promise<Fleet | undefined> {
  const absolute = path.resolve(dir);
  const state = readState(absolute);
  return Promise.resolve(
    state !== undefined && isRunning(state) ? fleetOf(realpathSync(absolute), state) : undefined,
  );
}

/** Ends what is in `dir`, a whole fleet or the rest of one; false when there was nothing. */
export async function stopFleet(dir: string): Promise<boolean> {
  const state = readState(path.resolve(dir));
  if (state === undefined) return false;
  await endFleet(path.resolve(dir), state);
  return true;
}

function fleetOf(dir: string, state: FleetState): Fleet {
  if (state.gateUrl === undefined) {
    throw new UserError('fleet.starting', `The demo fleet in ${dir} is not ready yet.`);
  }
  return {
    ...workspaceOf(dir),
    identityFile: `${dir}/keys/id_ed25519`,
    dir,
    mode: state.mode,
    gateUrl: state.gateUrl,
    nodes: state.nodes.map((node) => ({ ...node, services: servicesOf(dir, node.name) })),
    stop: () => endFleet(dir, state),
  };
}

/** As its supervisor last published them. */
function servicesOf(dir: string, name: string): FleetService[] {
  return JSON.parse(readFileSync(`${dir}/nodes/${name}/services.json`, 'utf8')) as FleetService[];
}
