// R-13's process: stays connected to nodes and follows their logs, and tells what it reads. It is stopped and its clock
// is set while it does. Arguments: ssh configuration, then node and log file in turn.

import { followNode } from '../../../src/log/follow.ts';
import { sshConnector } from '../../../src/remote/connect.ts';
import type { Node } from '../../../src/remote/node.ts';
import { NodeRegistry } from '../../../src/remote/nodeRegistry.ts';

export type FromSleeper =
  | { readonly kind: 'following'; readonly node: string }
  | { readonly kind: 'line'; readonly node: string; readonly text: string }
  | { readonly kind: 'gap'; readonly node: string; readonly reason: string }
  | { readonly kind: 'ended'; readonly node: string; readonly reason: string }
  /** The answer to any message: which nodes answer right now, on connections that are there by themselves. */
  | { readonly kind: 'alive'; readonly nodes: readonly string[]; readonly wallTime: number };

const [configFile = '', ...pairs] = process.argv.slice(2);
const nodes: Node[] = [];
for (let at = 0; at < pairs.length; at += 2) {
  const name = pairs[at]!;
  nodes.push({ name, host: name, labels: [], logs: [pairs[at + 1]!], origin: 'settings' });
}
const registry = new NodeRegistry(
  sshConnector(
    () => ({ configFile }),
    () => ({}),
  ),
);
registry.setNodes(nodes);

for (const node of nodes) {
  const ended = followNode(
    registry,
    node,
    {
      onReady: () => tell({ kind: 'following', node: node.name }),
      onEntry: ({ raw }) => tell({ kind: 'line', node: node.name, text: raw }),
      onGap: (_source, reason) => tell({ kind: 'gap', node: node.name, reason }),
      onWarning: (reason) => tell({ kind: 'gap', node: node.name, reason }),
    },
    new AbortController().signal,
  );
  ended.catch((error: unknown) => tell({ kind: 'ended', node: node.name, reason: String(error) }));
}

process.on('message', () => {
  void Promise.all(
    nodes.map(async (node) => {
      const answer = await registry
        .shellNow(node)
        ?.exec({ script: 'echo here' }, { timeoutMs: 2_000 })
        .catch(() => undefined);
      return answer?.stdout.toString() === 'here\n' ? [node.name] : [];
    }),
  ).then((alive) => tell({ kind: 'alive', nodes: alive.flat(), wallTime: Date.now() }));
});
process.on('disconnect', () => process.exit(0));

function tell(message: FromSleeper): void {
  process.send?.(message);
}
