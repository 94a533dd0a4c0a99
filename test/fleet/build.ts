// The way from an empty directory to a running fleet, step by step.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { UserError } from '../../src/base/errors.ts';
import type { Ground, OnStarted } from './ground.ts';
import { loopbackGround } from './loopback.ts';
import { namespaceGround, whyNoNamespaces } from './namespaces.ts';
import { NODE_PLANS, addressOf, labelsOf, pathsOf, urlOf, type FleetMode } from './plan.ts';
import { isHealthy } from './request.ts';
import { nodeSpec, type Setting } from './services.ts';
import { settingsText, workspaceOf } from './settings.ts';
import { clientFiles, makeKeys, type FleetKeys } from './ssh.ts';
import type { NodeRecord, StateFile } from './state.ts';
import { SUPERVISE, Supervisor } from './supervisor.ts';
import { PYTHON, becomesTrue, faketimeLibrary, identify } from './system.ts';
import { makeCheckout, writeNodeTree } from './tree.ts';

export interface BuildOptions {
  /** Absolute. */
  readonly dir: string;
  readonly mode: FleetMode | 'auto';
  readonly load: boolean;
  readonly onProgress: (text: string) => void;
}

const REACHABLE_TIMEOUT_MS = 15_000;

/**
 * Starts everything and records it in `file` as it goes; the caller ends what was recorded when
 * this fails.
 */
export async function buildFleet(options: BuildOptions, file: StateFile): Promise<void> {
  const { dir, onProgress } = options;
  rmSync(`${dir}/nodes`, { recursive: true, force: true });
  mkdirSync(`${dir}/nodes`);
  const supervisors: Supervisor[] = [];
  const onStarted: OnStarted = (supervisor) => {
    supervisors.push(supervisor);
    recordSupervisor(file, supervisor);
  };
  const ground = await chooseGround(options, file, onStarted);
  onProgress('Writing the files of the nodes');
  const settings = await writeNodes(options, ground, file.state.id, await makeKeys(dir));
  onProgress(`Starting ${settings.map(({ node }) => node.name).join(', ')}`);
  await startNodes(settings, ground, file, onStarted);
  onProgress('Waiting for sshd and the services');
  await Promise.all(settings.map(waitUntilReachable));
  ground.settle();
  if (file.state.isDetached) for (const supervisor of supervisors) supervisor.tell('keep');
  for (const supervisor of supervisors) supervisor.unref();
  file.update({
    gateUrl: urlOf(ground.addresses, 'gate-1'),
    nodes: settings.map((setting) => nodeRecord(setting, ground.user)),
  });
}

async function chooseGround(
  { dir, mode, onProgress }: BuildOptions,
  file: StateFile,
  onStarted: OnStarted,
): Promise<Ground> {
  const why = mode === 'loopback' ? 'asked for' : await whyNoNamespaces();
  if (why !== undefined) {
    if (mode === 'namespaces') throw new UserError('fleet.noNamespaces', why);
    if (mode === 'auto') onProgress(`${why} The nodes are loopback addresses instead.`);
    return await loopbackGround();
  }
  // before the first process: the mode says how to end it
  file.update({ mode: 'namespaces' });
  const hubSpec = `${dir}/nodes/hub.json`;
  writeFileSync(hubSpec, JSON.stringify({ role: 'hub', directory: `${dir}/nodes` }));
  const ground = await namespaceGround(file.state.id, hubSpec, `${dir}/nodes/hub.log`, onStarted);
  file.update({ link: ground.link });
  return ground;
}

async function writeNodes(
  options: BuildOptions,
  ground: Ground,
  fleetId: string,
  keys: FleetKeys,
): Promise<Setting[]> {
  const { dir, load, onProgress } = options;
  const library = faketimeLibrary();
  if (library === undefined) onProgress('Without libfaketime the clock of store-1 is not ahead.');
  const checkout = `${dir}/nodes/checkout`;
  await makeCheckout(checkout);
  const settings = NODE_PLANS.map((node) => ({
    node: library === undefined ? { ...node, clockSkewMs: 0 } : node,
    paths: pathsOf(ground.addresses.mode, dir, node.name),
    addresses: ground.addresses,
    fleetId,
    faketimeLibrary: library,
    load,
  }));
  await Promise.all(settings.map((setting) => writeNodeTree(setting, checkout, keys)));
  writeClientFiles(dir, settings, ground, keys);
  return settings;
}

function writeClientFiles(
  dir: string,
  settings: readonly Setting[],
  { addresses, user }: Ground,
  keys: FleetKeys,
): void {
  const { knownHostsFile, settingsFile, sshConfigFile } = workspaceOf(dir);
  const { knownHosts, sshConfig } = clientFiles(addresses, keys, user, knownHostsFile);
  writeFileSync(sshConfigFile, sshConfig, { mode: 0o600 });
  writeFileSync(knownHostsFile, knownHosts, { mode: 0o600 });
  mkdirSync(`${dir}/workspace/.vscode`, { recursive: true });
  const nodes = settings.map((setting) => nodeRecord(setting, user));
  writeFileSync(settingsFile, settingsText(nodes, sshConfigFile));
}

async function startNodes(
  settings: readonly Setting[],
  ground: Ground,
  file: StateFile,
  onStarted: OnStarted,
): Promise<void> {
  const nodes = settings.map((setting) => {
    const { directory } = setting.paths;
    const spec = `${directory}/spec.json`;
    writeFileSync(spec, JSON.stringify(nodeSpec(setting), null, 2), { mode: 0o600 });
    const argv = [...ground.launcher, PYTHON, '-B', SUPERVISE, spec];
    const supervisor = new Supervisor(setting.node.name, argv, `${directory}/supervise.log`);
    onStarted(supervisor);
    return supervisor;
  });
  for (const node of nodes) recordSupervisor(file, node, (await node.said('mounted')).pid);
  await ground.connect(nodes);
  for (const node of nodes) node.tell('go');
  await Promise.all(nodes.map((node) => node.said('ready')));
}

function recordSupervisor(file: StateFile, { name, pid }: Supervisor, innerPid = 0): void {
  const outer = identify(pid);
  // it has ended already: the next wait for it says why
  if (outer === undefined) return;
  file.record({ name, outer, inner: identify(innerPid) });
}

async function waitUntilReachable({ addresses, node }: Setting): Promise<void> {
  const host = addressOf(addresses, node.name);
  const url = urlOf(addresses, node.name);
  const isReachable = async () =>
    (await answersAsSsh(host, addresses.sshPort)) && (await isHealthy(url));
  if (!(await becomesTrue(isReachable, REACHABLE_TIMEOUT_MS))) {
    throw new Error(`${node.name} (${host}) does not answer by ssh and at ${url}`);
  }
}

/** True when a server at this port greets as ssh servers do. */
function answersAsSsh(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 2000 });
    const answer = (isSsh: boolean) => {
      socket.destroy();
      resolve(isSsh);
    };
    socket.on('data', (data) => answer(data.toString('latin1').startsWith('SSH-2.0-')));
    socket.on('error', () => answer(false));
    socket.on('timeout', () => answer(false));
    socket.on('close', () => answer(false));
  });
}

function nodeRecord({ addresses, node, paths }: Setting, user: string): NodeRecord {
  return {
    name: node.name,
    host: addressOf(addresses, node.name),
    port: addresses.sshPort,
    user,
    labels: labelsOf(node),
    logs: [`${paths.shop}/log/*.log`],
    clockSkewMs: node.clockSkewMs,
  };
}
