// activate(): builds the object graph, registers it, returns. Reads as a table of contents; the SSH transport is
// loaded when the first connection needs it.

import { existsSync } from 'node:fs';
import * as vscode from 'vscode';
import { toDisplay } from './base/displayText.ts';
import { UserError } from './base/errors.ts';
import type { KnownZone } from './base/time.ts';
import { redactArgv } from './env/redact.ts';
import { createRedactionKey } from './env/redactionKey.ts';
import { describeStep } from './remote/clockText.ts';
import { CommandLog } from './remote/commandLog.ts';
import { sshConnector } from './remote/connect.ts';
import type { Node } from './remote/node.ts';
import { formatNodeUri } from './remote/nodeFiles.ts';
import { NodeRegistry } from './remote/nodeRegistry.ts';
import { combineNodes } from './remote/settings.ts';
import { planLaunch } from './run/launchPlan.ts';
import { headOf, type RunRecord } from './run/runRecord.ts';
import { findRunNear, hasFailed } from './run/runStore.ts';
import { ClockNotices } from './ui/clockNotices.ts';
import { CommandLogView } from './ui/commandLogView.ts';
import { AddNode } from './ui/addNode.ts';
import { registerCommands } from './ui/commands.ts';
import { ConnectionReports } from './ui/connectionReports.ts';
import { PassphraseStore } from './ui/passphraseStore.ts';
import { onDidChangeConfig, readConfig } from './ui/config.ts';
import { configurationOf, DebugFactory } from './ui/debugFactory.ts';
import { EnvDocuments } from './ui/envDocuments.ts';
import { FlamePanels } from './ui/flamePanel.ts';
import { FollowView } from './ui/followView.ts';
import { LogDocuments } from './ui/logDocuments.ts';
import { nodeCommands, nodesWithLogs } from './ui/nodeActions.ts';
import { NodeFiles } from './ui/nodeFiles.ts';
import { openNodeTerminal, openRunTerminal } from './ui/nodeTerminal.ts';
import { NodeProblems } from './ui/nodeProblems.ts';
import { NodeTree } from './ui/nodeTree.ts';
import { PreflightPanels } from './ui/preflightPanel.ts';
import { loginPrompts } from './ui/prompts.ts';
import { storedRedactionKey } from './ui/redactionKeyStore.ts';
import { Reporter } from './ui/report.ts';
import { confirmStart, pickRun, runCommands, showRecord } from './ui/runActions.ts';
import { RunTree } from './ui/runTree.ts';
import { TimeZoneSwitch } from './ui/timeDisplay.ts';
import { onlyWhenTrusted } from './ui/trust.ts';

export function activate(context: vscode.ExtensionContext): void {
  const add = <T extends vscode.Disposable>(item: T): T => {
    context.subscriptions.push(item);
    return item;
  };
  const reporter = add(new Reporter());

  // Nodes
  const sshOptions = () => readConfig().ssh;
  const passphrases = new PassphraseStore(context.secrets, context.globalState);
  const prompts = loginPrompts(passphrases);
  const commandKey = createRedactionKey();
  const commandLog = add(new CommandLog((words) => redactArgv(words, commandKey)));
  const connect = sshConnector(sshOptions, () => prompts, { commands: commandLog });
  const registry = add(new NodeRegistry(onlyWhenTrusted(connect), { keepsClocks: true }));
  const reports = new ConnectionReports(registry);
  add(reports.register());
  const nodeProblems = new NodeProblems();
  const refreshNodes = async (): Promise<void> => {
    const config = readConfig();
    const { sshConfigFile } = config;
    registry.setNodes(await combineNodes(config.nodes, sshConfigFile, (e) => reporter.error(e)));
    nodeProblems.tell(config.nodeProblems);
  };
  const times = add(new TimeZoneSwitch((name) => zoneOfNode(registry, name)));
  const commandView = new CommandLogView(commandLog, times);
  add(commandView.register());
  const nodeTree = new NodeTree(registry, context.workspaceState, (time, node) =>
    times.formatShort(time, node.name),
  );
  add(nodeTree.register());
  add(times.onDidChange(() => nodeTree.refreshHovers()));
  const addNode = new AddNode({
    get nodes() {
      return registry.nodes;
    },
    connect: (node, signal) => registry.shell(node, signal),
    refreshNodes,
    reveal: (node) => nodeTree.reveal(node),
    sshOptions,
  });
  const clockNotices = new ClockNotices();
  add(
    registry.onDidStepClock(({ node, step }) => {
      if (!clockNotices.isNew(node.name, step, performance.now())) return;
      const told = describeStep(step, (time) => times.format(time, node.name));
      void vscode.window.showWarningMessage(toDisplay(`${node.name}: ${told}.`, 300));
    }),
  );
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
  const logs = new LogDocuments(registry, times);
  add(logs.register());
  const searchContext = (contextId: string): Promise<void> =>
    logs.search(nodesWithLogs(registry), { contextId });
  const liveLogs = new FollowView(
    context.extensionUri,
    registry,
    { searchContext },
    times,
    reporter,
  );
  add(liveLogs.register());

  // Runs
  const runs = new RunTree(registry, times);
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
    const found = await findRunNear(registry, near, wanted.run, signal);
    const target = near[0] ?? found.node;
    // Here, so that a launch.json cannot go around it.
    if (!(await confirmStart(found.record, target))) {
      throw new UserError('run.notConfirmed', 'The run was not started.');
    }
    return planLaunch(found.record, target.name);
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
  const files = new NodeFiles(registry);
  add(files.register());
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
          followLogs: (nodes) => liveLogs.follow(nodes),
          openTerminal: (node) => openNodeTerminal(registry, node),
          showConnectionReport: (node) => reports.show(node),
          showProfile: (profile, title) => flames.show(profile, title),
        }),
        ...nodeTree.commands(),
        ...addNode.commands(),
        ...logs.commands(),
        ...times.commands(),
        ...files.commands(),
        ...commandView.commands((value): value is Node => registry.nodes.includes(value as Node)),
        ...runCommands(registry, runs, preflights, {
          debug,
          terminal,
          searchLogs: searchContext,
        }),
        forgetPassphrases: async () => {
          const count = await passphrases.forgetAll();
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
