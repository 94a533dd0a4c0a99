// fleet.json: what a fleet has started, written as it happens, so that whoever comes later can end
// it.

import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { UserError } from '../../src/base/errors.ts';
import { HUB, removeLink } from './namespaces.ts';
import type { FleetMode } from './plan.ts';
import {
  haveEnded,
  identify,
  isAlive,
  processesWithVariable,
  signalProcess,
  type ProcessId,
} from './system.ts';

export interface SupervisorRecord {
  readonly name: string;
  /** What was spawned: `unshare` in namespaces mode, otherwise the supervisor itself. */
  readonly outer: ProcessId;
  /** The supervisor, known once it has spoken. */
  readonly inner?: ProcessId;
}

export interface NodeRecord {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly labels: string[];
  readonly logs: string[];
  readonly clockSkewMs: number;
}

export interface FleetState {
  readonly format: 'faultline.fleet';
  readonly version: 1;
  /** 12 hex digits. */
  readonly id: string;
  readonly mode: FleetMode;
  readonly starter: ProcessId;
  /** True when the fleet is to outlive its starter. */
  readonly isDetached: boolean;
  readonly supervisors: readonly SupervisorRecord[];
  readonly link?: string;
  readonly gateUrl?: string;
  /** Empty until the fleet is ready. */
  readonly nodes: readonly NodeRecord[];
}

const fileOf = (dir: string) => `${dir}/fleet.json`;

export function readState(dir: string): FleetState | undefined {
  let text: string;
  try {
    text = readFileSync(fileOf(dir), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const state = JSON.parse(text) as FleetState | { format?: unknown; version?: unknown };
  if (!isFleetState(state)) {
    throw new UserError('fleet.unknownState', `${fileOf(dir)} is not a demo fleet's state.`, {
      hint: 'Choose another directory.',
    });
  }
  return state;
}

function isFleetState(value: { format?: unknown; version?: unknown }): value is FleetState {
  return value.format === 'faultline.fleet' && value.version === 1;
}

/** A fleet's own record, kept on disk at every change. */
export class StateFile {
  readonly #dir: string;
  #state: FleetState;

  private constructor(dir: string, state: FleetState) {
    this.#dir = dir;
    this.#state = state;
  }

  /** Takes the directory for a new fleet; first ends what a dead starter left there. */
  static async claim(dir: string, id: string, isDetached: boolean): Promise<StateFile> {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const starter = identify(process.pid);
    if (starter === undefined) throw new Error('/proc does not show this process');
    const state: FleetState = {
      format: 'faultline.fleet',
      version: 1,
      id,
      mode: 'loopback',
      starter,
      isDetached,
      supervisors: [],
      nodes: [],
    };
    while (!createExclusively(dir, state)) await endDeadFleet(dir);
    return new StateFile(dir, state);
  }

  get state(): FleetState {
    return this.#state;
  }

  update(change: Partial<FleetState>): void {
    this.#state = { ...this.#state, ...change };
    const draft = `${fileOf(this.#dir)}.${process.pid}`;
    writeFileSync(draft, JSON.stringify(this.#state, null, 2), { mode: 0o600 });
    renameSync(draft, fileOf(this.#dir));
  }

  /** Adds a supervisor, or what has since become known about it. */
  record(supervisor: SupervisorRecord): void {
    const others = this.#state.supervisors.filter(({ name }) => name !== supervisor.name);
    this.update({ supervisors: [...others, supervisor] });
  }
}

/** A hard link fails when the name exists, and shows the whole content at once when it does not. */
function createExclusively(dir: string, state: FleetState): boolean {
  const draft = `${fileOf(dir)}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(state, null, 2), { mode: 0o600 });
  try {
    linkSync(draft, fileOf(dir));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft);
  }
}

async function endDeadFleet(dir: string): Promise<void> {
  const state = readState(dir);
  if (state === undefined) return; // ended meanwhile
  if (isAlive(state.starter) || (state.isDetached && isRunning(state))) {
    throw new UserError('fleet.running', `A demo fleet runs already in ${dir}.`, {
      hint: `Stop it: node test/fleet/cli.ts down --dir ${dir}`,
    });
  }
  await endFleet(dir, state);
}

/** All its supervisors live. */
export function isRunning({ nodes, supervisors }: FleetState): boolean {
  return nodes.length > 0 && supervisors.every(({ inner, outer }) => isAlive(inner ?? outer));
}

/** Ends every process of the fleet, its network and its state file. Harmless when done before. */
export async function endFleet(dir: string, state: FleetState): Promise<void> {
  if (state.mode === 'loopback') await endLoopback(state);
  else await endNamespaces(state);
  if (readState(dir)?.id === state.id) rmSync(fileOf(dir), { force: true });
}

/**
 * The kernel ends all processes of a pid namespace before its first one, the supervisor, is gone.
 * The network is last:
 * while it is there, every client still hears that its connection was closed.
 */
async function endNamespaces({ id, link, supervisors }: FleetState): Promise<void> {
  const [hub, nodes] = [true, false].map((isHub) =>
    supervisors.filter(({ name }) => (name === HUB) === isHub),
  );
  for (const group of [nodes, hub]) {
    const all = (group ?? []).flatMap(({ inner, outer }) => (inner ? [inner, outer] : [outer]));
    for (const supervisor of all) signalProcess(supervisor, 'SIGKILL');
    if (!(await haveEnded(all, 10_000))) throw stillThere(all);
  }
  if (link !== undefined) await removeLink(link, id);
}

/**
 * A supervisor told to end ends its descendants; the marker finds them where one was killed itself.
 */
async function endLoopback({ id, supervisors }: FleetState): Promise<void> {
  const all = supervisors.map(({ outer }) => outer);
  for (const supervisor of all) signalProcess(supervisor, 'SIGTERM');
  if (!(await haveEnded(all, 10_000))) {
    for (const supervisor of all) signalProcess(supervisor, 'SIGKILL');
  }
  const marked = processesWithVariable('FLEET_ID', id);
  for (const orphan of marked) signalProcess(orphan, 'SIGKILL');
  if (!(await haveEnded([...all, ...marked], 10_000))) throw stillThere([...all, ...marked]);
}

function stillThere(all: readonly ProcessId[]): Error {
  const pids = all.filter(isAlive).map(({ pid }) => pid);
  return new Error(`These processes of the demo fleet did not end: ${pids.join(', ')}`);
}
