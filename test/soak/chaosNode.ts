// A node behind a proxy that harms its connections, and a stream of lines to see by whether anything got through.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { splitLines } from '../../src/base/lines.ts';
import { sshConnector } from '../../src/remote/connect.ts';
import type { Node } from '../../src/remote/node.ts';
import { NodeRegistry } from '../../src/remote/nodeRegistry.ts';
import type { Shell } from '../../src/remote/shell.ts';
import { ChaosProxy } from '../fakes/chaosProxy.ts';
import { noStartUpFiles, startSshd, type TestSshd } from '../fakes/sshd.ts';

export interface ChaosNode extends AsyncDisposable {
  readonly proxy: ChaosProxy;
  readonly sshd: TestSshd;
  readonly registry: NodeRegistry;
  readonly node: Node;
}

/** A dead peer is noticed within three seconds, and a lost connection comes back within a fraction of one. */
export async function startChaosNode(): Promise<ChaosNode> {
  const sshd = await startSshd({ config: noStartUpFiles });
  const proxy = await ChaosProxy.start(sshd.port);
  const [, ...key] = sshd.hostKeyLine.split(' ');
  await sshd.knownHosts(`[127.0.0.1]:${proxy.port} ${key.join(' ')}\n`);
  const configFile = join(sshd.dir, 'through-proxy');
  const config = await readFile(
    await sshd.config('  ServerAliveInterval 1\n  ServerAliveCountMax 2'),
    'utf8',
  );
  await writeFile(configFile, config.replace(`Port ${sshd.port}`, `Port ${proxy.port}`));
  const registry = new NodeRegistry(
    sshConnector(
      () => ({ configFile }),
      () => ({}),
    ),
    { random: () => 0.05 },
  );
  const node: Node = { name: 'node', host: 'node', labels: [], logs: [], origin: 'settings' };
  registry.setNodes([node]);
  return {
    proxy,
    sshd,
    registry,
    node,
    [Symbol.asyncDispose]: async () => {
      registry.dispose();
      await proxy.stop();
      await sshd.stop();
    },
  };
}

export interface StreamedLines {
  readonly arrived: number;
  /** Whole lines that are not what was sent. */
  readonly wrong: number;
}

/** Reads `count` numbered lines of 50 bytes, for as long as the connection lasts. */
export async function streamLines(shell: Shell, count: number): Promise<StreamedLines> {
  const program = await shell.start({
    script: 'exec seq -f "%09.0f a line that must arrive as it was sent.." 1 "$1"',
    args: [String(count)],
  });
  let arrived = 0;
  let wrong = 0;
  try {
    for await (const line of splitLines(program.stdout)) {
      if (!line.isComplete) continue;
      const number = String(++arrived).padStart(9, '0');
      if (line.text !== `${number} a line that must arrive as it was sent..`) wrong++;
    }
  } catch {
    // The connection ended: what came before counts.
  }
  program.dispose();
  return { arrived, wrong };
}
