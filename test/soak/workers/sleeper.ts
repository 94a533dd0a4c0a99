// R-13's process: stays connected to nodes and follows their logs, and tells what it reads. It is stopped and its clock
// is set while it does. Arguments: ssh configuration, then node and log file in turn.

import { LiveLog } from '../../../src/log/liveLog.ts';
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

const live = new LiveLog(registry);
live.onDidAdd((items) => {
  for (const item of items) {
    if (item.kind === 'entry') tell({ kind: 'line', node: item.entry.node, text: item.entry.raw });
    else if (item.kind === 'gap') tell({ kind: 'gap', node: item.node, reason: item.reason });
  }
});
live.onDidChangeNode(({ node, state, failure }) => {
  if (state === 'following') tell({ kind: 'following', node });
  if (state === 'failed') tell({ kind: 'ended', node, reason: failure?.message ?? '' });
});
for (const node of nodes) live.start(node);

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
