// The debug adapter as a program of its own, over stdio: for tests, and for editors other than VS Code.
// `main.ts [--settings FILE] [--ssh-config FILE]`. Without settings, this machine is the only node, `local`.

import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Emitter } from '../base/emitter.ts';
import { describeError } from '../base/errors.ts';
import { sshConnector } from '../remote/connect.ts';
import { LocalShell } from '../remote/localShell.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import { NodeRegistry } from '../remote/nodeRegistry.ts';
import { combineNodes, readSettings } from '../remote/settings.ts';
import { planLaunch, type LaunchPlan } from '../run/launchPlan.ts';
import { findRun } from '../run/runStore.ts';
import type { RunConfiguration } from './launchConfiguration.ts';
import { FaultlineSession } from './session.ts';

/** This machine as the only node. */
function localAccess(): NodeAccess {
  const shell = new LocalShell();
  const nodes: readonly Node[] = [
    { name: 'local', host: 'localhost', labels: [], logs: [], origin: 'settings' },
  ];
  return {
    nodes,
    onDidChange: new Emitter<Node>().event,
    state: () => ({ kind: 'ready', clock: undefined }),
    shell: () => Promise.resolve(shell),
    clock: () => Promise.resolve({ offsetMs: 0, errorMs: 0, measuredAt: Date.now() }),
  };
}

async function configuredAccess(file: string, sshConfig: string | undefined): Promise<NodeAccess> {
  const settings = await readSettings(file, true);
  const configFile = sshConfig ?? settings.sshConfigFile;
  const registry = new NodeRegistry(
    sshConnector(
      () => ({ configFile }),
      () => ({}),
    ),
  );
  registry.setNodes(await combineNodes(settings.nodes, configFile));
  return registry;
}

async function recordedPlan(
  access: NodeAccess,
  { run, node }: RunConfiguration,
  signal: AbortSignal,
): Promise<LaunchPlan> {
  const found = await findRun(access, access.nodes, run, signal);
  return planLaunch(found.record, node ?? found.node.name);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { settings: { type: 'string' }, 'ssh-config': { type: 'string' } },
  });
  const access =
    values.settings === undefined
      ? localAccess()
      : await configuredAccess(values.settings, values['ssh-config']);
  const session = new FaultlineSession({
    access,
    resolvePlan: (configuration, signal) => recordedPlan(access, configuration, signal),
    hasLocalFile: existsSync,
  });
  process.once('SIGTERM', () => session.shutdown());
  session.start(process.stdin, process.stdout);
}

main().catch((error: unknown) => {
  process.stderr.write(`faultline: ${describeError(error)}\n`);
  process.exitCode = 2;
});
