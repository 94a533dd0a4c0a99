// The Runs view: recorded runs of the connected nodes, newest first, failed ones with their reason.

import * as vscode from 'vscode';
import { toDisplay } from '../base/displayText.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import { describeEnd, programName, type RunHead } from '../run/runRecord.ts';
import { hasFailed, listRuns, type RunList } from '../run/runStore.ts';
import { abortSignalOf } from './cancellation.ts';
import { views } from './names.ts';
import type { TimeZoneSwitch } from './timeDisplay.ts';

/** More rows than this help nobody: the newest are shown, and the rest counted. */
const maxRows = 200;

/** A row: a run, or a sentence about what is not shown. */
export type RunRow =
  | { readonly kind: 'run'; readonly head: RunHead }
  | { readonly kind: 'note'; readonly text: string; readonly isError: boolean };

export class RunTree implements vscode.TreeDataProvider<RunRow>, vscode.Disposable {
  private readonly view: vscode.TreeView<RunRow>;
  private readonly access: NodeAccess;
  private readonly times: TimeZoneSwitch;
  private readonly changed = new vscode.EventEmitter<undefined>();
  private list: RunList = { runs: [], missing: [] };
  private failedOnly = true;
  private readonly subscription: vscode.Disposable;

  readonly onDidChangeTreeData = this.changed.event;

  constructor(view: vscode.TreeView<RunRow>, access: NodeAccess, times: TimeZoneSwitch) {
    this.view = view;
    this.access = access;
    this.times = times;
    this.subscription = times.onDidChange(() => this.changed.fire(undefined));
    void vscode.commands.executeCommand('setContext', 'faultline.runs.failedOnly', true);
  }

  dispose(): void {
    this.subscription.dispose();
    this.changed.dispose();
  }

  get runs(): readonly RunHead[] {
    return this.list.runs;
  }

  get failedRuns(): readonly RunHead[] {
    return this.list.runs.filter(hasFailed);
  }

  async setFailedOnly(failedOnly: boolean): Promise<void> {
    this.failedOnly = failedOnly;
    await vscode.commands.executeCommand('setContext', 'faultline.runs.failedOnly', failedOnly);
    this.changed.fire(undefined);
  }

  /** Asks the nodes again. Nodes that are offline or failed are left alone: a list connects to nothing. */
  async refresh(signal?: AbortSignal): Promise<void> {
    const reachable = this.access.nodes.filter((node) => this.access.state(node).kind === 'ready');
    await this.load(reachable, signal);
  }

  /** Asks these nodes, connecting where needed. */
  async load(nodes: readonly Node[], signal?: AbortSignal): Promise<void> {
    // Nodes that are connected answer at once; others may take their time, or ask.
    const isQuick = nodes.every((node) => this.access.state(node).kind === 'ready');
    const options = {
      location: isQuick ? { viewId: views.runs } : vscode.ProgressLocation.Notification,
      title: `Looking for runs on ${nodes.length} nodes`,
      cancellable: true,
    };
    const list = await vscode.window.withProgress(options, async (progress, token) => {
      const cancel = AbortSignal.any([abortSignalOf(token), ...(signal ? [signal] : [])]);
      let done = 0;
      const onProgress = (): void => {
        const message = `${++done} of ${nodes.length}`;
        progress.report({ message, increment: 100 / nodes.length });
      };
      const found = await listRuns(this.access, nodes, { onProgress }, cancel);
      return cancel.aborted ? undefined : found;
    });
    // Cancelled: what was listed before stays.
    if (list === undefined) return;
    this.list = list;
    const failures = this.failedRuns.length;
    this.view.badge =
      failures === 0 ? undefined : { value: failures, tooltip: `${failures} failed runs` };
    this.changed.fire(undefined);
  }

  getChildren(parent?: RunRow): RunRow[] {
    if (parent !== undefined) return [];
    const runs = this.failedOnly ? this.failedRuns : this.list.runs;
    const rows: RunRow[] = runs.slice(0, maxRows).map((head) => ({ kind: 'run', head }));
    if (runs.length > maxRows) rows.push(note(`${runs.length - maxRows} older runs are not shown`));
    if (this.failedOnly && runs.length === 0 && this.list.runs.length > 0) {
      rows.push(note(`None of ${this.list.runs.length} runs has failed`));
    }
    for (const { node, error } of this.list.missing) {
      const reason = error instanceof Error ? error.message : String(error);
      rows.push({ kind: 'note', text: `${node.name}: ${reason}`, isError: true });
    }
    return rows;
  }

  getTreeItem(row: RunRow): vscode.TreeItem {
    return row.kind === 'run' ? runItem(row.head, this.times) : noteItem(row);
  }
}

function note(text: string): RunRow {
  return { kind: 'note', text, isError: false };
}

function noteItem(row: RunRow & { readonly kind: 'note' }): vscode.TreeItem {
  const item = new vscode.TreeItem(toDisplay(row.text, 300));
  item.iconPath = new vscode.ThemeIcon(row.isError ? 'warning' : 'info');
  return item;
}

function runItem(head: RunHead, times: TimeZoneSwitch): vscode.TreeItem {
  const item = new vscode.TreeItem(toDisplay(programName(head.argv), 60));
  const end = toDisplay(describeEnd(head), 120);
  const startedAt = Date.parse(head.startedAt);
  const hasStart = !Number.isNaN(startedAt);
  item.id = `${head.node}/${head.run}`;
  item.description = [
    head.node,
    end,
    ...(hasStart ? [times.formatShort(startedAt, head.node)] : []),
  ].join(' · ');
  item.iconPath = runIcon(head);
  item.contextValue = hasFailed(head) ? 'run.failed' : `run.${head.state}`;
  item.tooltip = runTooltip(
    head,
    end,
    hasStart ? times.format(startedAt, head.node) : head.startedAt,
  );
  item.command = {
    command: 'faultline.openRun',
    title: 'Open Run',
    arguments: [{ kind: 'run', head }],
  };
  item.accessibilityInformation = {
    label: `${hasFailed(head) ? 'failed run' : `${head.state} run`} ${item.label as string} on ${head.node}, ${end}`,
  };
  return item;
}

function runIcon(head: RunHead): vscode.ThemeIcon {
  if (hasFailed(head)) {
    return new vscode.ThemeIcon('error', new vscode.ThemeColor('list.errorForeground'));
  }
  if (head.state === 'running') return new vscode.ThemeIcon('play-circle');
  return new vscode.ThemeIcon('pass', new vscode.ThemeColor('charts.green'));
}

function runTooltip(head: RunHead, end: string, started: string): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  const rows: readonly (readonly [string, string | null])[] = [
    ['Run', head.run],
    ['Node', head.node],
    ['Ended', end],
    ['Started', started],
    ['Context id', head.contextId],
  ];
  text.appendCodeblock(toDisplay(head.argv.join(' '), 1000), 'text');
  for (const [name, value] of rows) {
    if (value === null) continue;
    text.appendText(`${name}: ${toDisplay(value, 300)}`);
    text.appendMarkdown('\n\n');
  }
  return text;
}
