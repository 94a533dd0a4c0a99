// The Remote Commands view: everything we ran on the nodes, by node, newest first; each opens as a document with
// its literal text.

import { randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import { toDisplay } from '../base/displayText.ts';
import { formatBytes, formatCount, formatDuration } from '../base/figures.ts';
import {
  hasFailed,
  type CommandEntry,
  type CommandLog,
  type CommandTotals,
} from '../remote/commandLog.ts';
import {
  commandDocument,
  describeCost,
  describeExit,
  describeTotals,
} from '../remote/commandText.ts';
import type { Node } from '../remote/node.ts';
import { targetsOf } from './commands.ts';
import { schemes, views, type CommandsOf } from './names.ts';
import type { TimeZoneSwitch } from './timeDisplay.ts';

/** Rows below one node; the older ones are counted. */
const maxRows = 300;
const maxTooltipLines = 30;

export type CommandRow =
  | { readonly kind: 'node'; readonly totals: CommandTotals }
  | { readonly kind: 'command'; readonly entry: CommandEntry }
  | { readonly kind: 'note'; readonly text: string };

export class CommandLogView
  implements
    vscode.TreeDataProvider<CommandRow>,
    vscode.TextDocumentContentProvider,
    vscode.Disposable
{
  private readonly view: vscode.TreeView<CommandRow>;
  private readonly log: CommandLog;
  private readonly times: TimeZoneSwitch;
  private readonly changed = new vscode.EventEmitter<undefined>();
  private readonly documentChanged = new vscode.EventEmitter<vscode.Uri>();
  /** In the addresses of documents: ids count from 1 again in the next window. */
  private readonly window = randomUUID();
  private readonly subscriptions: vscode.Disposable;
  /** Names of the nodes that are shown; undefined for all. */
  private only: ReadonlySet<string> | undefined;

  readonly onDidChangeTreeData = this.changed.event;
  readonly onDidChange = this.documentChanged.event;

  constructor(view: vscode.TreeView<CommandRow>, log: CommandLog, times: TimeZoneSwitch) {
    this.view = view;
    this.log = log;
    this.times = times;
    this.subscriptions = vscode.Disposable.from(
      view.onDidChangeVisibility(() => this.refresh()),
      log.onDidChange(() => this.refresh()),
      times.onDidChange(() => this.refresh()),
    );
  }

  dispose(): void {
    this.subscriptions.dispose();
    this.changed.dispose();
    this.documentChanged.dispose();
  }

  commands(isNode: (value: unknown) => value is Node): CommandsOf<'commandLog'> {
    const rows = (args: readonly unknown[]): CommandRow[] => targetsOf(args, isRow);
    return {
      showCommands: async (...args) => {
        const names = [
          ...targetsOf(args, isNode).map(({ name }) => name),
          ...rows(args).flatMap((row) => (row.kind === 'node' ? [row.totals.node] : [])),
        ];
        await this.showOnly(names.length === 0 ? undefined : new Set(names));
        await vscode.commands.executeCommand(`${views.commands}.focus`);
      },
      showAllCommands: () => this.showOnly(undefined),
      clearCommands: () => this.log.clear(),
      openCommand: (row) => (isRow(row) ? this.open(row) : undefined),
      copyCommand: async (...args) => {
        const texts = rows(args).flatMap((row) =>
          row.kind === 'command' ? [commandDocument(this.log.find(row.entry.id) ?? row.entry)] : [],
        );
        if (texts.length > 0) await vscode.env.clipboard.writeText(texts.join('\n'));
      },
    };
  }

  getChildren(parent?: CommandRow): CommandRow[] {
    if (parent === undefined) return this.nodeRows();
    if (parent.kind !== 'node') return [];
    const entries = this.log.entries(parent.totals.node).toReversed();
    const rows: CommandRow[] = entries
      .slice(0, maxRows)
      .map((entry) => ({ kind: 'command', entry }));
    const { count } = parent.totals;
    if (count > rows.length) {
      const left = formatCount(count - rows.length, 'older command is', 'older commands are');
      rows.push({ kind: 'note', text: `${left} not shown` });
    }
    return rows;
  }

  getTreeItem(row: CommandRow): vscode.TreeItem {
    switch (row.kind) {
      case 'node':
        return nodeItem(row.totals, this.only !== undefined);
      case 'command':
        return commandItem(row, this.times);
      case 'note':
        return new vscode.TreeItem(row.text);
    }
  }

  /** The tooltip shows the head of the whole program: made when somebody wants to see it. */
  resolveTreeItem(item: vscode.TreeItem, row: CommandRow): vscode.TreeItem {
    if (row.kind === 'command') item.tooltip = tooltip(row.entry);
    return item;
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    const entry = this.entryOf(uri);
    return entry === undefined
      ? '# This command is no longer kept.\n'
      : commandDocument(entry, (time) => this.times.format(time, entry.node));
  }

  private nodeRows(): CommandRow[] {
    return this.log
      .totals()
      .filter(({ node }) => this.only === undefined || this.only.has(node))
      .map((totals) => ({ kind: 'node', totals }));
  }

  private async showOnly(names: ReadonlySet<string> | undefined): Promise<void> {
    this.only = names;
    this.refresh();
    await vscode.commands.executeCommand(
      'setContext',
      'faultline.commands.filtered',
      names !== undefined,
    );
  }

  /** Commands come many a second: what nobody looks at is not built. */
  private refresh(): void {
    this.view.description =
      this.only === undefined ? '' : toDisplay([...this.only].join(', '), 100);
    if (this.view.visible) this.changed.fire(undefined);
    for (const { uri } of vscode.workspace.textDocuments) {
      // What has ended does not change; a text document is compared before it is drawn again.
      if (uri.scheme === schemes.command) this.documentChanged.fire(uri);
    }
  }

  private async open(row: CommandRow): Promise<void> {
    if (row.kind !== 'command') return;
    const { id, node, title } = row.entry;
    const uri = vscode.Uri.from({
      scheme: schemes.command,
      // The last part is the tab's title; its ending tells the language.
      path: `/${`${toDisplay(node, 60)}: ${title}`.replaceAll('/', '∕')}.sh`,
      query: `${this.window}.${id}`,
    });
    await vscode.window.showTextDocument(uri, { preview: true });
  }

  private entryOf(uri: vscode.Uri): CommandEntry | undefined {
    const [window, id] = uri.query.split('.');
    return window === this.window ? this.log.find(Number(id)) : undefined;
  }
}

function isRow(value: unknown): value is CommandRow {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return false;
  return (
    (value.kind === 'command' && 'entry' in value) || (value.kind === 'node' && 'totals' in value)
  );
}

function nodeItem(totals: CommandTotals, isAskedFor: boolean): vscode.TreeItem {
  const { Expanded, Collapsed } = vscode.TreeItemCollapsibleState;
  const item = new vscode.TreeItem(toDisplay(totals.node, 200), isAskedFor ? Expanded : Collapsed);
  // Whether it is open is remembered by this: one that was asked for opens by itself.
  item.id = `${isAskedFor ? 'only' : 'node'}/${totals.node}`;
  item.description = describeTotals(totals);
  item.iconPath = new vscode.ThemeIcon('vm');
  item.contextValue = 'commandNode';
  item.accessibilityInformation = { label: `${item.label as string}, ${item.description}` };
  return item;
}

function commandItem(
  row: CommandRow & { readonly kind: 'command' },
  times: TimeZoneSwitch,
): vscode.TreeItem {
  const { entry } = row;
  const item = new vscode.TreeItem(entry.title);
  const end = describeExit(entry);
  item.id = `command/${entry.id}`;
  // A side bar is narrow: what went wrong stands first.
  item.description = [
    ...(end === 'exit 0' ? [] : [end]),
    ...(entry.durationMs === undefined ? [] : [formatDuration(entry.durationMs)]),
    `↑ ${formatBytes(entry.bytesSent)} ↓ ${formatBytes(entry.bytesReceived)}`,
    times.formatShort(entry.startedAt, entry.node),
  ].join(' · ');
  item.iconPath = commandIcon(entry);
  item.contextValue = 'command';
  item.command = { command: 'faultline.openCommand', title: 'Open Command', arguments: [row] };
  item.accessibilityInformation = { label: `${entry.title}, ${item.description}` };
  return item;
}

function commandIcon(entry: CommandEntry): vscode.ThemeIcon {
  if (entry.kind === 'terminal') return new vscode.ThemeIcon('terminal');
  if (entry.durationMs === undefined) return new vscode.ThemeIcon('sync');
  return hasFailed(entry)
    ? new vscode.ThemeIcon('error', new vscode.ThemeColor('list.errorForeground'))
    : new vscode.ThemeIcon('check');
}

/** The program is ours, its arguments are not: all of it is shown as code, in untrusted Markdown. */
function tooltip(entry: CommandEntry): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  text.appendText(describeCost(entry));
  const lines = commandDocument(entry).split('\n');
  const shown = lines.slice(0, maxTooltipLines).map((line) => toDisplay(line, 200));
  if (lines.length > maxTooltipLines) shown.push('…');
  text.appendCodeblock(shown.join('\n'), 'shellscript');
  return text;
}
