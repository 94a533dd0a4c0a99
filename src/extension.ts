// activate(): builds the object graph, registers it, returns. Reads as a table of contents: what the first view
// needs is there, and everything else is `late`, loaded when somebody first asks for it.

import { existsSync } from 'node:fs';
import * as vscode from 'vscode';
import { DisposableStore, type Disposable } from './base/disposable.ts';
import { toNotice } from './base/displayText.ts';
import type { KnownZone } from './base/time.ts';
import { describeStep } from './remote/clockText.ts';
import type { Node } from './remote/node.ts';
import type { ConnectNode } from './remote/nodeLink.ts';
import { NodeRegistry } from './remote/nodeRegistry.ts';
import type { RunRecord } from './run/runRecord.ts';
import { ClockNotices } from './ui/clockNotices.ts';
import type { CommandLogView, CommandRow } from './ui/commandLogView.ts';
import { registerCommands } from './ui/commands.ts';
import { ConnectionReports } from './ui/connectionReports.ts';
import {
  createLateTree,
  late,
  lateCommands,
  registerLateDebugging,
  registerLateDocuments,
  registerLateFiles,
  registerLateWebviewView,
  type Late,
} from './ui/late.ts';
import { commandsOf, debugType, schemes, views } from './ui/names.ts';
import { NodeProblems } from './ui/nodeProblems.ts';
import { NodeTree } from './ui/nodeTree.ts';
import { Reporter } from './ui/report.ts';
import type { RunRow, RunTree } from './ui/runTree.ts';
import { TimeZoneSwitch } from './ui/timeDisplay.ts';
import { onlyWhenTrusted } from './ui/trust.ts';

export function activate(context: vscode.ExtensionContext): void {
  const store = new DisposableStore();
  context.subscriptions.push(store);
  const add = <T extends Disposable>(item: T): T => store.add(item);
  const reporter = add(new Reporter());

  // The way to the nodes
  const commandLog = late(async () => {
    const { maskedCommandLog } = await import('./env/maskedCommandLog.ts');
    return add(maskedCommandLog());
  });
  const passphrases = late(async () => {
    const { PassphraseStore } = await import('./ui/passphraseStore.ts');
    return new PassphraseStore(context.secrets, context.globalState);
  });
  const connector = late(async () => {
    const { readConfig } = await import('./ui/config.ts');
    const { sshConnector } = await import('./remote/connect.ts');
    const { loginPrompts } = await import('./ui/prompts.ts');
    const prompts = loginPrompts(await passphrases());
    return sshConnector(
      () => readConfig().ssh,
      () => prompts,
      { commands: await commandLog() },
    );
  });

  // Nodes
  const connect: ConnectNode = async (...args) => (await connector())(...args);
  const registry = add(new NodeRegistry(onlyWhenTrusted(connect), { keepsClocks: true }));
  const reports = new ConnectionReports(registry);
  add(reports.register());
  const nodeProblems = new NodeProblems();
  const refreshNodes = async (): Promise<void> => {
    const { listNodes, readConfig } = await import('./ui/config.ts');
    const config = readConfig();
    registry.setNodes(await listNodes(config, (error) => reporter.error(error)));
    nodeProblems.tell(config.nodeProblems);
  };
  const times = add(new TimeZoneSwitch((name) => zoneOfNode(registry, name)));
  const nodeTree = new NodeTree(registry, context.workspaceState, (time, node) =>
    times.formatShort(time, node.name),
  );
  add(nodeTree.register());
  add(times.onDidChange(() => nodeTree.refreshHovers()));
  const addNode = late(async () => {
    const { AddNode } = await import('./ui/addNode.ts');
    const { readConfig } = await import('./ui/config.ts');
    return new AddNode({
      get nodes() {
        return registry.nodes;
      },
      connect: (node, signal) => registry.shell(node, signal),
      refreshNodes,
      reveal: (node) => nodeTree.reveal(node),
      sshOptions: () => readConfig().ssh,
    });
  });
  const clockNotices = new ClockNotices();
  add(
    registry.onDidStepClock(({ node, step }) => {
      if (!clockNotices.isNew(node.name, step, performance.now())) return;
      const told = describeStep(step, (time) => times.format(time, node.name));
      void vscode.window.showWarningMessage(toNotice(`${node.name}: ${told}.`, 300));
    }),
  );
  add(
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration('faultline')) reporter.report(refreshNodes());
    }),
  );
  const terminals = () => import('./ui/nodeTerminal.ts');

  // Remote commands
  const commandView: Late<CommandLogView> = late(async () => {
    const { CommandLogView } = await import('./ui/commandLogView.ts');
    return add(new CommandLogView(commandRows, await commandLog(), times));
  });
  const commandRows = add(
    createLateTree<CommandRow>(
      views.commands,
      { canSelectMany: true, showCollapseAll: true },
      commandView,
    ),
  );
  add(registerLateDocuments(schemes.command, commandView));

  // Files, environments, profiles
  const files = late(async () => {
    const { NodeFiles } = await import('./ui/nodeFiles.ts');
    return add(new NodeFiles(registry));
  });
  const isReadonly = new vscode.MarkdownString('This file is on a node; Faultline only reads it.');
  add(registerLateFiles(schemes.nodeFile, { isCaseSensitive: true, isReadonly }, files));
  const environments = late(async () => {
    const { EnvDocuments } = await import('./ui/envDocuments.ts');
    const { storedRedactionKey } = await import('./ui/redactionKeyStore.ts');
    return add(new EnvDocuments(registry, () => storedRedactionKey(context.secrets)));
  });
  add(registerLateDocuments(schemes.environment, environments));
  const flames = late(async () => {
    const { FlamePanels } = await import('./ui/flamePanel.ts');
    const { openNodeFile } = await import('./ui/nodeFiles.ts');
    return add(new FlamePanels(context.extensionUri, openNodeFile, reporter));
  });

  // Logs
  const logs = late(async () => {
    const { LogDocuments } = await import('./ui/logDocuments.ts');
    return add(new LogDocuments(registry, times));
  });
  add(registerLateDocuments(schemes.log, logs));
  const searchContext = async (contextId: string): Promise<void> =>
    (await logs()).searchContext(contextId);
  const liveLogs = late(async () => {
    const { FollowView } = await import('./ui/followView.ts');
    const actions = { searchContext };
    return add(new FollowView(context.extensionUri, registry, actions, times, reporter));
  });
  // Keeps the filter and the place; rows that come while it is hidden are sent when it is shown.
  const webviewOptions = { retainContextWhenHidden: true };
  add(registerLateWebviewView(views.liveLogs, { webviewOptions }, liveLogs));

  // Runs
  const runs: Late<RunTree> = late(async () => {
    const { RunTree } = await import('./ui/runTree.ts');
    return add(new RunTree(runRows, registry, times));
  });
  const runRows = add(createLateTree<RunRow>(views.runs, {}, runs));
  const debug = async (record: RunRecord, node: Node): Promise<void> => {
    const { debugRun } = await import('./ui/debugFactory.ts');
    await debugRun(record, node);
  };
  const terminal = async (record: RunRecord, node: Node): Promise<void> =>
    (await terminals()).openRunTerminal(registry, node, record);
  const preflights = late(async () => {
    const { PreflightPanels } = await import('./ui/preflightPanel.ts');
    const { confirmStart, showRecord } = await import('./ui/runActions.ts');
    const actions = { debug, terminal, showRecord, confirm: confirmStart };
    return add(new PreflightPanels(context.extensionUri, registry, actions, reporter));
  });

  const debugging = late(async () => {
    const { DebugFactory } = await import('./ui/debugFactory.ts');
    const { pickRun, planRun } = await import('./ui/runActions.ts');
    const tree = await runs();
    return new DebugFactory(
      {
        access: registry,
        resolvePlan: (wanted, signal) => planRun(registry, wanted, signal),
        hasLocalFile: existsSync,
      },
      {
        get failed() {
          return tree.failedRuns;
        },
        pick: () => pickRun(tree),
      },
    );
  });
  add(registerLateDebugging(debugType, debugging));

  // Commands
  const nodeTable = late(async () => {
    const { nodeCommands } = await import('./ui/nodeActions.ts');
    return nodeCommands(registry, {
      refreshNodes,
      showEnvironment: async (node) => (await environments()).showNode(node),
      compareEnvironments: async (a, b) => (await environments()).compareNodes(a, b),
      searchLogs: async (nodes, contextId) => (await logs()).search(nodes, { contextId }),
      followLogs: async (nodes) => (await liveLogs()).follow(nodes),
      openTerminal: async (node) => (await terminals()).openNodeTerminal(registry, node),
      showConnectionReport: (node) => reports.show(node),
      showProfile: async (profile, title) => (await flames()).show(profile, title),
    });
  });
  const runTable = late(async () => {
    const { runCommands } = await import('./ui/runActions.ts');
    const uses = { debug, terminal, searchLogs: searchContext };
    return runCommands(registry, await runs(), await preflights(), uses);
  });
  const isNode = (value: unknown): value is Node => registry.nodes.includes(value as Node);
  const commandTable = late(async () => (await commandView()).commands(isNode));
  add(
    registerCommands(
      {
        ...nodeTree.commands(),
        ...times.commands(),
        ...lateCommands(commandsOf.nodes, nodeTable),
        ...lateCommands(commandsOf.addNode, async () => (await addNode()).commands()),
        ...lateCommands(commandsOf.logs, async () => (await logs()).commands()),
        ...lateCommands(commandsOf.files, async () => (await files()).commands()),
        ...lateCommands(commandsOf.commandLog, commandTable),
        ...lateCommands(commandsOf.runs, runTable),
        forgetPassphrases: async () => {
          const count = await (await passphrases()).forgetAll();
          void vscode.window.showInformationMessage(
            count === 0 ? 'No passphrases were kept.' : `Forgot ${count} passphrases.`,
          );
        },
        showLog: () => reporter.show(),
      },
      reporter,
    ),
  );

  reporter.report(refreshNodes());
}

/** As the node told it; undefined until its clock was asked. */
function zoneOfNode(registry: NodeRegistry, name: string): KnownZone | undefined {
  const node = registry.nodes.find((candidate) => candidate.name === name);
  return node === undefined ? undefined : registry.clockNow(node)?.facts?.zone;
}
