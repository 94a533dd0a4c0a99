// activate(): builds the object graph, registers it, returns. Reads as a table of contents; the SSH transport is
// loaded when the first connection needs it.

import * as vscode from 'vscode';
import { sshConnector } from './remote/connect.ts';
import { NodeRegistry } from './remote/nodeRegistry.ts';
import { formatNodeUri } from './remote/nodeFiles.ts';
import { combineNodes } from './remote/settings.ts';
import { registerCommands } from './ui/commands.ts';
import { onDidChangeConfig, readConfig } from './ui/config.ts';
import { EnvDocuments } from './ui/envDocuments.ts';
import { FlamePanels } from './ui/flamePanel.ts';
import { nodeCommands, nodesWithLogs } from './ui/nodeActions.ts';
import { LogDocuments } from './ui/logDocuments.ts';
import { NodeTree } from './ui/nodeTree.ts';
import { PreflightPanels } from './ui/preflightPanel.ts';
import { loginPrompts } from './ui/prompts.ts';
import { storedRedactionKey } from './ui/redactionKeyStore.ts';
import { Reporter } from './ui/report.ts';
import { confirmStart, pickRun, runCommands, showRecord } from './ui/runActions.ts';
import { RunTree } from './ui/runTree.ts';
import { existsSync } from 'node:fs';
import { configurationOf, DebugFactory } from './ui/debugFactory.ts';
import { NodeFiles } from './ui/nodeFiles.ts';
import { openNodeTerminal, openRunTerminal } from './ui/nodeTerminal.ts';
import { planLaunch } from './run/launchPlan.ts';
import { findRunNear, hasFailed } from './run/runStore.ts';
import type { Node } from './remote/node.ts';
import { headOf, type RunRecord } from './run/runRecord.ts';

export function activate(context: vscode.ExtensionContext): void {
  const add = <T extends vscode.Disposable>(item: T): T => {
    context.subscriptions.push(item);
    return item;
  };
  const reporter = add(new Reporter());

  // Nodes
  const sshOptions = () => ({ configFile: readConfig().sshConfigFile });
  const registry = add(new NodeRegistry(sshConnector(sshOptions, loginPrompts)));
  const refreshNodes = async (): Promise<void> => {
    const config = readConfig();
    registry.setNodes(await combineNodes(config.nodes, config.sshConfigFile));
  };
  add(new NodeTree(registry).register());
  add(registry.onDidChange((node) => reporter.report(measureClock(registry, node))));
  add(onDidChangeConfig(() => reporter.report(refreshNodes())));

  // Environments, profiles
  const environments = new EnvDocuments(registry, () => storedRedactionKey(context.secrets));
  add(environments.register());
  const openSource = async (node: string, file: string, line: number): Promise<void> => {
    const uri = vscode.Uri.parse(formatNodeUri({ node, path: file }), true);
    const at = new vscode.Position(Math.max(0, line - 1), 0);
    await vscode.window.showTextDocument(uri, { selection: new vscode.Range(at, at) });
  };
  const flames = add(new FlamePanels(context.extensionUri, openSource, reporter));

  // Logs
  const logs = new LogDocuments(registry);
  add(logs.register());

  // Runs
  const runs = new RunTree(registry);
  add(runs.register());
  const debug = async (record: RunRecord, node: Node): Promise<void> => {
    const head = headOf(record, node.name);
    if (await vscode.debug.startDebugging(undefined, configurationOf(head))) {
      // The variables are what the user came for.
      await vscode.commands.executeCommand('workbench.view.debug');
    }
  };
  const terminal = (record: RunRecord, node: Node): void => openRunTerminal(registry, node, record);
  const resolvePlan = async (
    wanted: { run: string; node: string | undefined },
    signal: AbortSignal,
  ) => {
    const near = registry.nodes.filter((node) => node.name === wanted.node);
    const { node, record } = await findRunNear(registry, near, wanted.run, signal);
    return planLaunch(record, wanted.node ?? node.name);
  };
  const failedRuns = {
    get failed() {
      return runs.runs.filter(hasFailed);
    },
    pick: () => pickRun(runs),
  };
  add(
    new DebugFactory(
      { access: registry, resolvePlan, hasLocalFile: existsSync },
      failedRuns,
    ).register(),
  );
  add(new NodeFiles(registry).register());
  const preflights = add(
    new PreflightPanels(
      context.extensionUri,
      registry,
      { debug, terminal, showRecord, confirm: confirmStart },
      reporter,
    ),
  );

  add(
    registerCommands(
      {
        ...nodeCommands(registry, {
          refreshNodes,
          showEnvironment: (node) => environments.showNode(node),
          compareEnvironments: (a, b) => environments.compareNodes(a, b),
          searchLogs: (nodes, contextId) => logs.search(nodes, { contextId }),
          followLogs: async () => {},
          openTerminal: (node) => openNodeTerminal(registry, node),
          showProfile: (profile, title) => flames.show(profile, title),
        }),
        ...logs.commands(),
        ...runCommands(registry, runs, preflights, {
          debug,
          terminal,
          searchLogs: (contextId) => logs.search(nodesWithLogs(registry), { contextId }),
        }),
        showLog: () => reporter.show(),
      },
      reporter,
    ),
  );

  reporter.report(refreshNodes());
}

/** A connected node tells its clock at once; trouble with that is not trouble with the node. */
async function measureClock(registry: NodeRegistry, node: Node): Promise<void> {
  const state = registry.state(node);
  if (state.kind !== 'ready' || state.clock !== undefined) return;
  await registry.clock(node).catch(() => undefined);
}
