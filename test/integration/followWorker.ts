// A process that follows a node's log file, so that it can be stopped for a while as by a laptop's sleep.
// Arguments: ssh configuration, log file.

import { LiveLog } from '../../src/log/liveLog.ts';
import { sshConnector } from '../../src/remote/connect.ts';
import { NodeRegistry } from '../../src/remote/nodeRegistry.ts';

export type FromFollower =
  | { readonly kind: 'state'; readonly state: string }
  | { readonly kind: 'entry' | 'gap' | 'resumed'; readonly text: string };

const [configFile = '', file = ''] = process.argv.slice(2);
const registry = new NodeRegistry(
  sshConnector(
    () => ({ configFile }),
    () => ({}),
  ),
);
registry.setNodes([{ name: 'node', host: 'node', labels: [], logs: [file], origin: 'settings' }]);
const live = new LiveLog(registry);
live.onDidChangeNode(({ state }) => tell({ kind: 'state', state }));
live.onDidAdd((items) => {
  for (const item of items) {
    if (item.kind === 'entry') tell({ kind: 'entry', text: item.entry.raw });
    else tell({ kind: item.kind, text: item.reason });
  }
});
live.start(registry.nodes[0]!);
process.on('disconnect', () => process.exit(0));

function tell(message: FromFollower): void {
  process.send?.(message);
}
