// Nodes as Linux namespaces: each has its own network, host name, mounts, processes and IPC.
//
//        host ── flt17 ═══ host ┐
//                               │  hub: a network namespace of its own, with a bridge
//   gate-1: eth0 ═══ gate-1 ────┤
//   work-1: eth0 ═══ work-1 ────┘  …
//
// No namespace has a name and the bridge is not the host's: when the hub's process ends, however it
// ends, the kernel removes the bridge and with it the one link the host has seen.

import { UserError } from '../../src/base/errors.ts';
import type { Ground, OnStarted } from './ground.ts';
import { APP_USER } from './plan.ts';
import { Supervisor, SUPERVISE } from './supervisor.ts';
import { PYTHON, run } from './system.ts';

const UNSHARE = [
  'unshare',
  '--net',
  '--uts',
  '--mount',
  '--pid',
  '--ipc',
  '--fork',
  '--kill-child',
];
/** The supervisor whose network namespace joins the others. */
export const HUB = 'hub';
const SUBNETS = 250;
const PROBE_SCRIPT =
  'mount -t tmpfs tmpfs /mnt && ip link add name veth0 type veth peer name veth1';

/** Why this machine cannot have such nodes, in one sentence; undefined when it can. */
export async function whyNoNamespaces(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'Namespaces need root.';
  try {
    await run('unshare', [...UNSHARE.slice(1), 'sh', '-c', PROBE_SCRIPT]);
    return undefined;
  } catch (error) {
    return `This machine does not let root make namespaces (${(error as Error).message}).`;
  }
}

export async function namespaceGround(
  fleetId: string,
  hubSpecFile: string,
  hubLog: string,
  onStarted: OnStarted,
): Promise<Ground> {
  const hub = new Supervisor(
    HUB,
    ['unshare', '--net', PYTHON, '-B', SUPERVISE, hubSpecFile],
    hubLog,
  );
  onStarted(hub);
  await hub.said('mounted');
  const { link, prefix } = await reserveSubnet(hub.pid, fleetId);
  await ipBatch(hub.pid, [
    'link add name bridge type bridge',
    'link set host master bridge',
    'link set host up',
    'link set bridge up',
  ]);
  await ipBatch(undefined, [`address add ${prefix}.1/24 dev ${link}`, `link set ${link} up`]);
  hub.tell('go');
  await hub.said('ready');
  return {
    addresses: { mode: 'namespaces', prefix, sshPort: 22, httpPort: 7461 },
    user: APP_USER,
    launcher: UNSHARE,
    link,
    connect: (nodes) => connect(hub.pid, nodes),
    settle: () => {},
  };
}

/**
 * The name of the link is the reservation: only one fleet can make `flt17`, and it then has
 * 10.231.17.0/24.
 */
async function reserveSubnet(hubPid: number, fleetId: string) {
  const taken = await usedPrefixes();
  for (let subnet = 1; subnet <= SUBNETS; subnet++) {
    const [link, prefix] = [`flt${subnet}`, `10.231.${subnet}`];
    if (taken.has(prefix)) continue;
    try {
      await ipBatch(undefined, [
        `link add name ${link} type veth peer name host netns ${hubPid}`,
        `link set ${link} alias ${fleetId}`,
      ]);
      return { link, prefix };
    } catch (error) {
      if (!/File exists/.test((error as Error).message)) {
        throw new UserError(
          'fleet.noNetwork',
          'This machine does not let root make network links.',
          {
            cause: error,
          },
        );
      }
    }
  }
  throw new UserError('fleet.noSubnet', 'No network 10.231.N.0/24 is free.', {
    hint: 'Stop a demo fleet that is still running.',
  });
}

/** First three numbers of all networks that the machine routes or has an address in. */
async function usedPrefixes(): Promise<Set<string>> {
  const routes = JSON.parse(await run('ip', ['-json', '-4', 'route', 'show', 'table', 'all'])) as {
    dst?: string;
  }[];
  return new Set(routes.map(({ dst = '' }) => dst.split('.').slice(0, 3).join('.')));
}

async function connect(hubPid: number, nodes: readonly Supervisor[]): Promise<void> {
  await ipBatch(
    hubPid,
    nodes.flatMap(({ name, pid }) => [
      `link add name ${name} type veth peer name eth0 netns ${pid}`,
      `link set ${name} master bridge`,
      `link set ${name} up`,
    ]),
  );
}

/**
 * Several `ip` commands in one process, in the network namespace of `pid` or in the machine's own.
 */
async function ipBatch(pid: number | undefined, commands: readonly string[]): Promise<void> {
  const enter = pid === undefined ? [] : ['nsenter', `--net=/proc/${pid}/ns/net`];
  const [file = 'ip', ...args] = [...enter, 'ip', '-batch', '-'];
  await run(file, args, { input: `${commands.join('\n')}\n` });
}

/**
 * Removes the host's link of this fleet at once; without it the kernel does, a moment after the hub
 * has ended.
 */
export async function removeLink(link: string, fleetId: string): Promise<void> {
  if ((await aliasOf(link)) !== fleetId) return; // gone, or another fleet's by now
  await run('ip', ['link', 'delete', link]).catch(async (error: unknown) => {
    // the kernel may have removed it between the two commands
    if ((await aliasOf(link)) === fleetId) throw error;
  });
}

async function aliasOf(link: string): Promise<string | undefined> {
  try {
    const [found] = JSON.parse(await run('ip', ['-json', 'link', 'show', link])) as {
      ifalias?: string;
    }[];
    return found?.ifalias;
  } catch {
    return undefined; // there is no such link
  }
}
