// What runs on a node, with which environment: the spec that node/supervise.py reads.

import { randomBytes } from 'node:crypto';
import {
  APP_UID,
  APP_USER,
  COMMON_PACKAGES,
  NODE_PLANS,
  addressOf,
  urlOf,
  type Addresses,
  type NodePaths,
  type NodePlan,
} from './plan.ts';
import { PYTHON, SSHD } from './system.ts';

export type Env = Readonly<Record<string, string>>;

export interface ServiceSpec {
  readonly name: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Env;
}

/** Read by node/supervise.py and node/enter.py. */
export interface NodeSpec {
  readonly role: 'node';
  readonly name: string;
  readonly namespaces: boolean;
  readonly directory: string;
  readonly uid: number;
  /** With the prefix length, for `ip address add`. */
  readonly address: string;
  readonly faketimeName?: string;
  readonly install?: readonly string[];
  readonly installEnv: Env;
  readonly sshd: ServiceSpec;
  readonly services: readonly ServiceSpec[];
}

export interface Setting {
  readonly node: NodePlan;
  readonly paths: NodePaths;
  readonly addresses: Addresses;
  readonly fleetId: string;
  /** Undefined when the machine has none, or the node's clock is right. */
  readonly faketimeLibrary: string | undefined;
  readonly load: boolean;
}

const PATH = '/usr/local/bin:/usr/bin:/bin';

/**
 * Variables that every login and command on the node has (sshd's SetEnv; ~/.profile repeats the
 * shop's own).
 */
export function loginEnv(setting: Setting): Env {
  return { ...shopEnv(setting), ...clockEnv(setting), ...loopbackEnv(setting) };
}

/** The shop's own settings, as a login shell gets them. */
export function shopEnv({ node, paths }: Setting): Env {
  if (node.role !== 'worker') return { SHOP_HOME: paths.shop };
  const env = { SHOP_HOME: paths.shop, TARIFF_TABLE: '2026-10' };
  return node.tariffRegion === undefined ? env : { ...env, TARIFF_REGION: node.tariffRegion };
}

/**
 * libfaketime for all programs of a node whose clock is wrong; monotonic time and file times stay
 * true.
 */
function clockEnv({ node, faketimeLibrary, fleetId }: Setting): Env {
  if (faketimeLibrary === undefined || node.clockSkewMs === 0) return {};
  const name = faketimeName(fleetId);
  return {
    LD_PRELOAD: faketimeLibrary,
    FAKETIME: `+${node.clockSkewMs / 1000}s`,
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
    NO_FAKE_STAT: '1',
    FAKETIME_SHARED: `/${name}_sem /${name}_shm`,
  };
}

/**
 * Of the one node with a wrong clock; holds the fleet's id because loopback mode shares /dev/shm.
 */
export function faketimeName(fleetId: string): string {
  return `flt_${fleetId}`;
}

/**
 * What separates nodes that share one machine, one user and one clock zone. FLEET_ID is how stop()
 * knows them.
 */
function loopbackEnv({ addresses, paths, fleetId }: Setting): Env {
  if (addresses.mode === 'namespaces') return {};
  return {
    HOME: paths.home,
    FLEET_ROOT: paths.directory,
    FLEET_ID: fleetId,
    XDG_STATE_HOME: `${paths.home}/.local/state`,
    FAULTLINE_STATE: `${paths.home}/.local/state/faultline`,
    TZ: 'UTC',
  };
}

function serviceEnv(setting: Setting): Env {
  const { node, paths, addresses } = setting;
  return {
    PATH,
    HOME: paths.home,
    LANG: 'C.UTF-8',
    ...(addresses.mode === 'namespaces'
      ? { USER: APP_USER, LOGNAME: APP_USER, SHELL: '/bin/bash' }
      : {}),
    ...loginEnv(setting),
    SHOP_NODE: node.name,
    SHOP_LISTEN: `${addressOf(addresses, node.name)}:${addresses.httpPort}`,
    // differs at each start and means nothing, as systemd's does
    INVOCATION_ID: randomBytes(16).toString('hex'),
  };
}

/** Made-up secrets, to see that they are masked: no program of the shop reads them. */
function workerSecrets(name: string): Env {
  return {
    SHOP_DB_PASSWORD: 'demo-only-not-a-password',
    PAYMENT_API_TOKEN: `tok_demo_fake_0000000000_${name}`,
  };
}

const ROLE_SERVICES: Readonly<Record<NodePlan['role'], (setting: Setting) => ServiceSpec[]>> = {
  gateway: (setting) => [gatewayService(setting), ...(setting.load ? [generator(setting)] : [])],
  worker: (setting) => [workerService(setting)],
  store: (setting) => [shopService(setting, 'store', PYTHON, {})],
};

function shopService(setting: Setting, name: string, python: string, env: Env): ServiceSpec {
  return {
    name,
    argv: [python, '-m', `shop.${name}`],
    cwd: setting.paths.shop,
    env: { ...serviceEnv(setting), ...env },
  };
}

function gatewayService(setting: Setting): ServiceSpec {
  const workers = NODE_PLANS.filter((node) => node.role === 'worker')
    .map(({ name }) => `${name}=${urlOf(setting.addresses, name)}`)
    .join(',');
  return shopService(setting, 'gateway', PYTHON, { SHOP_WORKERS: workers });
}

function workerService(setting: Setting): ServiceSpec {
  const { addresses, node, paths } = setting;
  return shopService(setting, 'worker', `${paths.shop}/venv/bin/python`, {
    SHOP_STORE_URL: urlOf(addresses, 'store-1'),
    SHOP_WORKER_SLOT: node.name.slice(-1),
    FAULTLINE_PROBE: `${paths.opt}/faultline/faultline_probe.py`,
    ...workerSecrets(node.name),
  });
}

function generator(setting: Setting): ServiceSpec {
  const url = urlOf(setting.addresses, 'gate-1');
  const others = NODE_PLANS.filter(({ role }) => role !== 'gateway');
  const after = others.flatMap(({ name }) => ['--after', urlOf(setting.addresses, name)]);
  return {
    name: 'generator',
    argv: [PYTHON, '-B', `${setting.paths.opt}/generator/generate.py`, url, ...after],
    cwd: setting.paths.home,
    env: serviceEnv(setting),
  };
}

export function nodeSpec(setting: Setting): NodeSpec {
  const { node, paths, addresses } = setting;
  const isSkewed = Object.keys(clockEnv(setting)).length > 0;
  return {
    role: 'node',
    name: node.name,
    namespaces: addresses.mode === 'namespaces',
    directory: paths.directory,
    uid: APP_UID,
    address: `${addressOf(addresses, node.name)}/24`,
    faketimeName: isSkewed ? faketimeName(setting.fleetId) : undefined,
    install: node.pricelib === undefined ? undefined : installArgv(paths, node.pricelib),
    installEnv: { PATH, LANG: 'C.UTF-8', HOME: paths.home },
    sshd: sshdService(setting),
    services: ROLE_SERVICES[node.role](setting),
  };
}

function installArgv(paths: NodePaths, pricelib: string): string[] {
  const wheelhouse = `${paths.opt}/wheelhouse`;
  const venv = `${paths.shop}/venv`;
  return ['-B', `${wheelhouse}/install.py`, venv, wheelhouse, `pricelib==${pricelib}`].concat(
    COMMON_PACKAGES,
  );
}

function sshdService({ addresses, paths, fleetId }: Setting): ServiceSpec {
  const config =
    addresses.mode === 'namespaces'
      ? '/etc/ssh/sshd_config'
      : `${paths.directory}/etc/ssh/sshd_config`;
  const marker: Env = addresses.mode === 'namespaces' ? {} : { FLEET_ID: fleetId };
  return {
    name: 'sshd',
    argv: [SSHD, '-D', '-f', config, '-E', `${paths.systemLog}/sshd.log`],
    cwd: '/',
    env: { PATH, LANG: 'C.UTF-8', ...marker },
  };
}
