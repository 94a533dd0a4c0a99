// 64 nodes behind one bastion, which is restarted: all come back, and not all at once.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { delay } from '../../../src/base/async.ts';
import { sshConnector } from '../../../src/remote/connect.ts';
import type { Node } from '../../../src/remote/node.ts';
import { NodeRegistry } from '../../../src/remote/nodeRegistry.ts';
import { noStartUpFiles, startSshd, type TestSshd } from '../../fakes/sshd.ts';
import { countCrashes } from '../crashes.ts';
import type { Goal } from '../goal.ts';

const nodeCount = 64;
/** As a restart by its service manager takes. */
const downMs = 500;
const maxBackMs = 90_000;
const maxUnauthenticated = 5;
/** The first number of MaxStartups: from here on connections are dropped. */
const throttledFrom = 10;
const maxTries = 3;
const pollMs = 20;

export const goal: Goal = {
  id: 'R-10',
  how: '64 nodes behind one sshd at stock MaxStartups 10:30:100, which is killed and started again',
  limitMinutes: 5,
  run: async ({ signal, onProgress }) => {
    using crashed = countCrashes();
    const bastion = await startSshd({ config: noStartUpFiles });
    const behind = await startSshd({ config: noStartUpFiles });
    const tries = new Map<string, number>();
    const configFile = await writeConfig(bastion, behind);
    const connect = sshConnector(
      () => ({ configFile }),
      () => ({}),
    );
    const registry = new NodeRegistry((node, stop, attempt) => {
      tries.set(node.name, (tries.get(node.name) ?? 0) + 1);
      return connect(node, stop, attempt);
    });
    try {
      const nodes = Array.from({ length: nodeCount }, (_, index): Node => {
        const name = `node-${index}`;
        return { name, host: name, labels: [], logs: [], origin: 'settings' };
      });
      registry.setNodes(nodes);
      const crowd = new Crowd([bastion, behind]);
      const firstMs = await elapsed(() => Promise.all(nodes.map((node) => registry.shell(node))));
      onProgress(
        `${nodeCount} connected in ${seconds(firstMs)}, ${mostLogins(await logsOf(bastion, behind))} logins at once`,
      );
      const before = await logsOf(bastion, behind);

      tries.clear();
      crowd.most = 0;
      await bastion.restart(downMs);
      const areAllLost = nodes.every((node) => registry.state(node).kind !== 'ready');
      const backMs = await elapsed(async () => {
        while (nodes.some((node) => registry.state(node).kind !== 'ready')) {
          await delay(pollMs, signal);
        }
      });
      crowd.stop();
      const logs = (await logsOf(bastion, behind)).map((log, i) => log.slice(before[i]!.length));
      const drops = [...before, ...logs].join('').split(/drop connection/i).length - 1;
      const logins = mostLogins(logs);
      const most = Math.max(...tries.values());
      return {
        ok:
          areAllLost &&
          backMs <= maxBackMs &&
          drops === 0 &&
          logins <= maxUnauthenticated &&
          crowd.most < throttledFrom &&
          most <= maxTries &&
          crashed.crashes.length === 0,
        figure:
          `${nodeCount}/${nodeCount} back ${seconds(backMs)} after the bastion, ${drops} refused by ` +
          `MaxStartups, at most ${logins} logins at once (${crowd.most} in the listeners' eyes), ` +
          `at most ${most} tries a node`,
      };
    } finally {
      registry.dispose();
      await Promise.all([bastion.stop(), behind.stop()]);
    }
  },
};

async function writeConfig(bastion: TestSshd, behind: TestSshd): Promise<string> {
  const file = join(bastion.dir, 'herd');
  await bastion.knownHosts(`${bastion.hostKeyLine}\n${behind.hostKeyLine}\n`);
  const common = (sshd: TestSshd): string =>
    `  HostName 127.0.0.1\n  Port ${sshd.port}\n  IdentityFile ${sshd.dir}/client\n`;
  await writeFile(
    file,
    `Host bastion\n${common(bastion)}Host node-*\n${common(behind)}  ProxyJump bastion\n` +
      `Host *\n  IdentitiesOnly yes\n  IdentityAgent none\n  GlobalKnownHostsFile none\n` +
      `  UserKnownHostsFile ${bastion.dir}/known_hosts\n`,
  );
  return file;
}

const leftEarly = /^(Connection (closed|reset) by|Disconnected from) .*\[preauth\]/;

/** The most connections to one of the servers between their beginning and their login, by the servers' logs. */
function mostLogins(logs: readonly string[]): number {
  let most = 0;
  for (const log of logs) {
    let now = 0;
    for (const line of log.split('\n')) {
      if (line.startsWith('Connection from ')) now++;
      else if (line.startsWith('Accepted ') || leftEarly.test(line)) now--;
      most = Math.max(most, now);
    }
  }
  return most;
}

/**
 * The most connections that were not logged in, at any of the servers, as their listeners count them: a moment
 * behind, since they hear of a login from the process that served it.
 */
class Crowd {
  most = 0;
  private isStopped = false;

  constructor(servers: readonly TestSshd[]) {
    void this.watch(servers);
  }

  stop(): void {
    this.isStopped = true;
  }

  private async watch(servers: readonly TestSshd[]): Promise<void> {
    while (!this.isStopped) {
      const counts = await Promise.all(servers.map((sshd) => sshd.unauthenticated()));
      this.most = Math.max(this.most, ...counts);
      await delay(pollMs);
    }
  }
}

function logsOf(...servers: readonly TestSshd[]): Promise<string[]> {
  return Promise.all(servers.map((sshd) => sshd.log()));
}

async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
