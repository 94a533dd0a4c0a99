// Who is in the fleet and where things lie: names, roles, addresses, paths. No side effects.

export type FleetMode = 'namespaces' | 'loopback';
export type Role = 'gateway' | 'worker' | 'store';

export interface NodePlan {
  readonly name: string;
  readonly role: Role;
  /**
   * Version of pricelib in a worker's virtual environment; 1.4.2 fails on currencies without
   * decimals.
   */
  readonly pricelib?: string;
  /** TARIFF_REGION; settlements for export fail without it. */
  readonly tariffRegion?: string;
  /** How far the node's clock is ahead. */
  readonly clockSkewMs: number;
  /** Number in the node's os-release: which image it was "installed" from. */
  readonly image: number;
}

const CURRENT = { pricelib: '2.1.0', tariffRegion: 'eu-central', clockSkewMs: 0, image: 41 };

export const NODE_PLANS: readonly NodePlan[] = [
  { name: 'gate-1', role: 'gateway', clockSkewMs: 0, image: 41 },
  { name: 'work-1', role: 'worker', ...CURRENT },
  { name: 'work-2', role: 'worker', ...CURRENT, pricelib: '1.4.2', image: 38 },
  { name: 'work-3', role: 'worker', ...CURRENT, tariffRegion: undefined },
  { name: 'store-1', role: 'store', clockSkewMs: 3500, image: 41 },
];

/** Installed beside pricelib, the same on every worker. */
export const COMMON_PACKAGES = ['ledgerfmt==0.3.1', 'parcelcodes==1.0.4', 'tinybackoff==2.2.0'];

/** The normal user inside the namespaces' nodes. */
export const APP_USER = 'app';
export const APP_UID = 1500;

/** Where a fleet's nodes are reached. */
export interface Addresses {
  readonly mode: FleetMode;
  /** First three numbers, e.g. `10.231.17`. */
  readonly prefix: string;
  readonly sshPort: number;
  readonly httpPort: number;
}

export function addressOf(addresses: Addresses, name: string): string {
  const index = NODE_PLANS.findIndex((node) => node.name === name);
  return `${addresses.prefix}.${11 + index}`;
}

export function urlOf(addresses: Addresses, name: string): string {
  return `http://${addressOf(addresses, name)}:${addresses.httpPort}`;
}

/** Paths of one node, as programs on the node see them. */
export interface NodePaths {
  /** The node's directory below the fleet's, as seen from outside. */
  readonly directory: string;
  readonly home: string;
  readonly shop: string;
  readonly opt: string;
  readonly systemLog: string;
}

/**
 * In namespaces the node's trees are mounted at /srv, /opt …; in loopback mode they stay where they
 * are.
 */
export function pathsOf(mode: FleetMode, fleetDir: string, name: string): NodePaths {
  const directory = `${fleetDir}/nodes/${name}`;
  const root = mode === 'namespaces' ? '' : directory;
  return {
    directory,
    home: `${root}/home/${APP_USER}`,
    shop: `${root}/srv/shop`,
    opt: `${root}/opt`,
    systemLog: mode === 'namespaces' ? '/var/log' : `${directory}/log`,
  };
}

export function labelsOf(node: NodePlan): string[] {
  return ['development', node.role];
}
