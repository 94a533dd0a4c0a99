// The Nodes view: each node with its state, why, and its clock; under headings, and filtered when wanted.

import * as vscode from 'vscode';
import { throttle } from '../base/async.ts';
import { toDisplay } from '../base/displayText.ts';
import { formatTime, type EpochMs } from '../base/time.ts';
import { describeClock, shortClock } from '../remote/clockText.ts';
import type { ConnectionReport } from '../remote/connectionReport.ts';
import { shortFailure } from '../remote/failureWords.ts';
import { isProduction, type Node, type NodeFailure, type NodeState } from '../remote/node.ts';
import type { CommandTable } from './commands.ts';
import {
  describeCounts,
  describeFilter,
  groupings,
  groupNodes,
  matchesFilter,
  parseFilter,
  stateWords,
  suggestFilters,
  type NodeFilter,
  type NodeGroup,
  type NodeGrouping,
} from './nodeFilter.ts';
import { pathPart, views } from './names.ts';

/** Scheme of the URIs that carry a node's decoration; nothing opens them. */
const decorationScheme = 'faultline-node';

/** Changes of this time are shown together. */
const refreshMs = 100;
/** The counts of a group: refreshing it makes VS Code ask for all its nodes again. */
const refreshGroupsMs = 500;
/** From this many changed nodes on, the whole view is asked for again. */
const maxSingleChanges = 50;
const countdownMs = 1000;
/** So many nodes count down in larger steps. */
const slowCountdownMs = 5000;

/** What the view shows. The registry is one. */
export interface NodeSource {
  readonly nodes: readonly Node[];
  state(node: Node): NodeState;
  onDidChange(listener: (node: Node) => void): vscode.Disposable;
  onDidChangeNodes(listener: () => void): vscode.Disposable;
  report?(node: Node): ConnectionReport | undefined;
}

/** Where the view keeps how it looks: a part of `vscode.Memento`. */
export interface ViewMemory {
  get<T>(key: string): T | undefined;
  update(key: string, value: unknown): PromiseLike<void>;
}

/** A time of ours that concerns a node, in the zone that is chosen. */
export type ShowTime = (time: EpochMs, node: Node) => string;

const showUtc: ShowTime = (time) => formatTime(time, 'utc');

export type NodeRow = Node | NodeGroup;

const memoryKeys = { grouping: 'nodes.grouping', collapsed: 'nodes.collapsed' } as const;

export function isNodeGroup(row: unknown): row is NodeGroup {
  return typeof row === 'object' && row !== null && 'kind' in row && row.kind === 'group';
}

export class NodeTree implements vscode.TreeDataProvider<NodeRow> {
  private readonly source: NodeSource;
  private readonly memory: ViewMemory | undefined;
  private readonly showTime: ShowTime;
  private readonly changed = new vscode.EventEmitter<NodeRow[] | undefined>();
  private readonly decorationsChanged = new vscode.EventEmitter<vscode.Uri[]>();
  private readonly collapsed: Set<string>;
  private view: vscode.TreeView<NodeRow> | undefined;
  private grouping: NodeGrouping;
  private filterText = '';
  private filter: NodeFilter | undefined;
  /** As last handed out, until a change makes them wrong. */
  private groups: readonly NodeGroup[] = [];
  private readonly groupOf = new Map<string, NodeGroup>();
  private readonly changedNodes = new Map<string, Node>();
  private readonly changedGroups = new Set<NodeGroup>();
  private countdown: NodeJS.Timeout | undefined;
  private countdownStepMs = 0;

  private readonly refreshSoon = throttle(() => this.flush(), refreshMs);
  private readonly refreshGroupsSoon = throttle(() => this.flushGroups(), refreshGroupsMs);

  readonly onDidChangeTreeData = this.changed.event;

  /** `memory` keeps the grouping and the collapsed groups for the next time. */
  constructor(source: NodeSource, memory?: ViewMemory, showTime: ShowTime = showUtc) {
    this.source = source;
    this.memory = memory;
    this.showTime = showTime;
    const grouping = memory?.get<string>(memoryKeys.grouping);
    this.grouping = groupings.find((known) => known === grouping) ?? 'group';
    this.collapsed = new Set(memory?.get<string[]>(memoryKeys.collapsed) ?? []);
  }

  register(): vscode.Disposable {
    const view = vscode.window.createTreeView<NodeRow>(views.nodes, {
      treeDataProvider: this,
      canSelectMany: true,
      showCollapseAll: true,
    });
    this.view = view;
    this.setContexts();
    return vscode.Disposable.from(
      view,
      this.changed,
      this.decorationsChanged,
      this.refreshSoon,
      this.refreshGroupsSoon,
      { dispose: () => this.stopCountdown() },
      view.onDidChangeVisibility(() => this.runCountdown()),
      view.onDidCollapseElement(({ element }) => this.remember(element, true)),
      view.onDidExpandElement(({ element }) => this.remember(element, false)),
      this.source.onDidChange((node) => this.nodeChanged(node)),
      this.source.onDidChangeNodes(() => this.refresh()),
      vscode.window.registerFileDecorationProvider({
        onDidChangeFileDecorations: this.decorationsChanged.event,
        provideFileDecoration: (uri) => this.decoration(uri),
      }),
    );
  }

  commands(): CommandTable {
    return {
      filterNodes: () => this.askFilter(),
      clearNodeFilter: () => this.setFilter(''),
      groupNodes: () => this.askGrouping(),
    };
  }

  /** Shows a node, also when a filter hides it now. */
  async reveal(node: Node): Promise<void> {
    if (this.filter !== undefined && !this.isShown(node)) this.setFilter('');
    this.rebuild();
    await this.view?.reveal(node, { select: true, focus: true });
  }

  setFilter(text: string): void {
    this.filterText = text;
    this.filter = parseFilter(text);
    this.setContexts();
    this.refresh();
  }

  setGrouping(grouping: NodeGrouping): void {
    this.grouping = grouping;
    void this.memory?.update(memoryKeys.grouping, grouping);
    this.setContexts();
    this.refresh();
  }

  getChildren(parent?: NodeRow): NodeRow[] {
    if (parent === undefined) return this.rebuild();
    return isNodeGroup(parent) ? [...parent.nodes] : [];
  }

  getParent(row: NodeRow): NodeRow | undefined {
    return isNodeGroup(row) ? undefined : this.groupOf.get(row.name);
  }

  getTreeItem(row: NodeRow): vscode.TreeItem {
    return isNodeGroup(row) ? this.groupItem(row) : nodeItem(row, this.source.state(row));
  }

  /** The tooltip is made when somebody wants to see it. */
  resolveTreeItem(item: vscode.TreeItem, row: NodeRow): vscode.TreeItem {
    if (isNodeGroup(row)) return item;
    item.tooltip = tooltip(row, this.source.state(row), this.source.report?.(row), (time) =>
      this.showTime(time, row),
    );
    return item;
  }

  /** Hovers hold times: they are made again when the zone of times is another one. */
  refreshHovers(): void {
    this.changed.fire(undefined);
  }

  private isShown(node: Node): boolean {
    return (
      this.filter === undefined || matchesFilter(node, this.source.state(node).kind, this.filter)
    );
  }

  /** What stands on the first level; remembers who is under whom. */
  private rebuild(): NodeRow[] {
    const shown = this.source.nodes.filter((node) => this.isShown(node));
    const stateOf = (node: Node): NodeState['kind'] => this.source.state(node).kind;
    const { groups, others } = groupNodes(shown, this.grouping, stateOf);
    this.groups = groups;
    this.groupOf.clear();
    for (const group of groups) for (const node of group.nodes) this.groupOf.set(node.name, group);
    this.changedGroups.clear();
    this.showSummary(shown.length);
    return [...others, ...groups];
  }

  private nodeChanged(node: Node): void {
    this.changedNodes.set(node.name, node);
    const group = this.groupOf.get(node.name);
    if (group !== undefined) this.changedGroups.add(group);
    this.refreshSoon();
    if (this.changedGroups.size > 0) this.refreshGroupsSoon();
  }

  /** Everything, since the set of rows may be another one. */
  private refresh(): void {
    this.changedNodes.clear();
    this.changed.fire(undefined);
    this.decorationsChanged.fire(this.source.nodes.filter(isProduction).map(decorationUri));
    this.runCountdown();
  }

  private flush(): void {
    const nodes = [...this.changedNodes.values()];
    this.changedNodes.clear();
    const movesRows = this.grouping === 'state' || (this.filter?.states.length ?? 0) > 0;
    if (movesRows || nodes.length > maxSingleChanges) {
      this.changed.fire(undefined);
    } else {
      const isCurrent = new Map(this.source.nodes.map((node) => [node.name, node]));
      const rows = nodes.flatMap(({ name }) => isCurrent.get(name) ?? []);
      if (rows.length > 0) this.changed.fire(rows);
      this.showSummary(undefined);
    }
    this.runCountdown();
  }

  private flushGroups(): void {
    const groups = [...this.changedGroups].filter((group) => this.groups.includes(group));
    this.changedGroups.clear();
    if (groups.length > 0) this.changed.fire(groups);
  }

  /** While connections come back by themselves, the seconds are counted where somebody can see it. */
  private runCountdown(): void {
    const waiting = this.source.nodes.filter((node) => this.source.state(node).kind === 'waiting');
    const stepMs = waiting.length > maxSingleChanges ? slowCountdownMs : countdownMs;
    if (waiting.length === 0 || this.view?.visible !== true) {
      this.stopCountdown();
    } else if (this.countdown === undefined || this.countdownStepMs !== stepMs) {
      this.stopCountdown();
      this.countdownStepMs = stepMs;
      this.countdown = setInterval(() => this.countDown(), stepMs);
    }
  }

  private countDown(): void {
    for (const node of this.source.nodes) {
      if (this.source.state(node).kind === 'waiting') this.changedNodes.set(node.name, node);
    }
    this.flush();
  }

  private stopCountdown(): void {
    clearInterval(this.countdown);
    this.countdown = undefined;
  }

  /** The view's badge, and how many nodes a filter lets through (`shown` is undefined when unchanged). */
  private showSummary(shown: number | undefined): void {
    if (this.view === undefined) return;
    const { nodes } = this.source;
    const failed = nodes.filter((node) => this.source.state(node).kind === 'failed').length;
    const tooltip = failed === 1 ? '1 node cannot be used' : `${failed} nodes cannot be used`;
    if ((this.view.badge?.value ?? 0) !== failed) {
      this.view.badge = failed === 0 ? undefined : { value: failed, tooltip };
    }
    if (shown === undefined) return;
    const message =
      this.filter === undefined || shown === 0
        ? undefined
        : describeFilter(this.filterText, shown, nodes.length);
    if (this.view.message !== message) this.view.message = message;
  }

  private setContexts(): void {
    const set = (key: string, value: unknown): void =>
      void vscode.commands.executeCommand('setContext', `${views.nodes}.${key}`, value);
    set('filtered', this.filter !== undefined);
    set('grouping', this.grouping);
  }

  private remember(row: NodeRow, isCollapsed: boolean): void {
    if (!isNodeGroup(row)) return;
    if (isCollapsed) this.collapsed.add(row.id);
    else this.collapsed.delete(row.id);
    void this.memory?.update(memoryKeys.collapsed, [...this.collapsed]);
  }

  private groupItem(group: NodeGroup): vscode.TreeItem {
    const { None: _, Collapsed, Expanded } = vscode.TreeItemCollapsibleState;
    const isCollapsed = this.collapsed.has(group.id);
    const title = toDisplay(group.title, 100);
    const item = new vscode.TreeItem(title, isCollapsed ? Collapsed : Expanded);
    const counts =
      this.grouping === 'state'
        ? `${group.nodes.length} ${group.nodes.length === 1 ? 'node' : 'nodes'}`
        : describeCounts(group.nodes.map((node) => this.source.state(node).kind));
    item.id = group.id;
    item.description = counts;
    item.iconPath = new vscode.ThemeIcon('server-environment');
    item.contextValue = 'nodeGroup';
    item.tooltip = `${title}: ${counts}`;
    item.accessibilityInformation = { label: `Group ${title}, ${counts}` };
    return item;
  }

  private decoration(uri: vscode.Uri): vscode.FileDecoration | undefined {
    if (uri.scheme !== decorationScheme) return undefined;
    const name = uri.path.slice(1);
    const node = this.source.nodes.find((candidate) => pathPart(candidate.name) === name);
    if (node === undefined || !isProduction(node)) return undefined;
    return new vscode.FileDecoration('P', 'Production', new vscode.ThemeColor('charts.orange'));
  }

  private async askGrouping(): Promise<void> {
    const words: Readonly<Record<NodeGrouping, string>> = {
      none: 'No Groups',
      group: 'By Group of the Settings',
      label: 'By Label',
      state: 'By State',
    };
    const items = groupings.map((grouping) => ({
      label: words[grouping],
      ...(grouping === this.grouping ? { description: 'now' } : {}),
      grouping,
    }));
    const options = { title: 'Group Nodes', placeHolder: 'How to group the nodes' };
    const chosen = await vscode.window.showQuickPick(items, options);
    if (chosen !== undefined) this.setGrouping(chosen.grouping);
  }

  /** The view follows what is typed; Escape brings back what was there before. */
  private askFilter(): Promise<void> {
    const before = this.filterText;
    const pick = vscode.window.createQuickPick<FilterItem>();
    pick.title = 'Filter Nodes';
    pick.placeholder = 'Text, label:production, state:failed or group:web';
    pick.value = before;
    pick.matchOnDescription = true;
    const show = (): void => {
      pick.items = this.filterItems(pick.value);
    };
    show();
    return new Promise((resolve) => {
      let isAccepted = false;
      pick.onDidChangeValue((value) => {
        this.setFilter(value);
        show();
      });
      pick.onDidAccept(() => {
        const token = pick.activeItems[0]?.token;
        if (token === undefined) {
          isAccepted = true;
          pick.hide();
          return;
        }
        pick.value = `${withoutLastWord(pick.value)}${token} `;
        this.setFilter(pick.value);
        show();
      });
      pick.onDidHide(() => {
        if (!isAccepted) this.setFilter(before);
        pick.dispose();
        resolve();
      });
      pick.show();
    });
  }

  private filterItems(typed: string): FilterItem[] {
    const { nodes } = this.source;
    const shown = nodes.filter((node) => this.isShown(node)).length;
    const done =
      parseFilter(typed) === undefined
        ? `Show all ${nodes.length} nodes`
        : `Show ${shown} of ${nodes.length} nodes`;
    const suggestions = suggestFilters(nodes, (node) => this.source.state(node).kind)
      .filter(({ token }) => !typed.includes(token))
      .map(({ token, count }) => ({
        label: `$(add) ${toDisplay(token, 100)}`,
        description: count === 1 ? '1 node' : `${count} nodes`,
        alwaysShow: true,
        token,
      }));
    return [{ label: `$(filter) ${done}`, alwaysShow: true, token: undefined }, ...suggestions];
  }
}

interface FilterItem extends vscode.QuickPickItem {
  /** Undefined: done. */
  readonly token: string | undefined;
}

/** A half-typed `label:`, `group:"eu w` or `stat` gives way to the condition chosen for it. */
function withoutLastWord(text: string): string {
  return text === '' || text.endsWith(' ') ? text : text.replace(/(?:\w+:)?"[^"]*$|\S+$/, '');
}

function decorationUri(node: Node): vscode.Uri {
  return vscode.Uri.from({ scheme: decorationScheme, path: `/${pathPart(node.name)}` });
}

function nodeItem(node: Node, state: NodeState): vscode.TreeItem {
  const name = toDisplay(node.name, 200);
  const item = new vscode.TreeItem(name);
  const description = describeNode(node, state);
  item.id = `node:${node.name}`;
  item.description = description;
  item.iconPath = stateIcon(state);
  item.contextValue = `node.${state.kind}`;
  item.resourceUri = decorationUri(node);
  item.accessibilityInformation = {
    label: [name, stateWords[state.kind], description].filter((part) => part !== '').join(', '),
  };
  return item;
}

/** That a node is a production node is said in words, in whatever state it is. */
function describeNode(node: Node, state: NodeState): string {
  const words = describeState(state, node);
  if (!isProduction(node) || state.kind === 'offline') return words;
  return words === '' ? 'production' : `production · ${words}`;
}

function describeState(state: NodeState, node: Node): string {
  switch (state.kind) {
    case 'offline':
      return toDisplay(node.labels.join(', '), 200);
    case 'connecting':
      return state.step === undefined
        ? 'connecting…'
        : `connecting: ${toDisplay(state.step, 100)}…`;
    case 'ready':
      return state.clock === undefined ? 'ready' : shortClock(state.clock);
    case 'waiting':
      return `lost · again ${formatWait(state.retryAt - Date.now())}`;
    case 'failed':
      return describeFailure(state.failure);
  }
}

/** In a narrow side bar only the first words can be read: these must be the reason. */
function describeFailure({ code, message }: NodeFailure): string {
  const short = shortFailure(code);
  const sentence = toDisplay(message, 200);
  return short === undefined ? sentence : `${short} · ${sentence}`;
}

function formatWait(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 0) return 'now';
  return seconds < 90 ? `in ${seconds} s` : `in ${Math.round(seconds / 60)} min`;
}

function stateIcon(state: NodeState): vscode.ThemeIcon {
  switch (state.kind) {
    case 'offline':
      return new vscode.ThemeIcon('circle-outline');
    case 'connecting':
      return new vscode.ThemeIcon('loading~spin');
    case 'ready':
      return new vscode.ThemeIcon('vm-active', new vscode.ThemeColor('charts.green'));
    case 'waiting':
      return new vscode.ThemeIcon('watch', new vscode.ThemeColor('charts.yellow'));
    case 'failed':
      return new vscode.ThemeIcon('error', new vscode.ThemeColor('list.errorForeground'));
  }
}

/** Untrusted Markdown: names and reasons come from settings and nodes, and are appended as plain text. */
function tooltip(
  node: Node,
  state: NodeState,
  report: ConnectionReport | undefined,
  showTime: (time: EpochMs) => string,
): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  const line = (words: string): void => {
    text.appendText(toDisplay(words, 500));
    text.appendMarkdown('\n\n');
  };
  line(`${node.name} · ${stateWords[state.kind]}`);
  if (state.kind === 'failed' || state.kind === 'waiting') {
    line(state.failure.message);
    if (state.failure.hint !== undefined) line(state.failure.hint);
  }
  if (state.kind === 'waiting') {
    line(`Tried ${state.attempts === 1 ? 'once' : `${state.attempts} times`} since it was lost`);
  }
  if (state.kind === 'connecting' && state.step !== undefined) line(state.step);
  if (node.host !== node.name) line(`Host: ${node.host}`);
  if (node.group !== undefined) line(`Group: ${node.group}`);
  if (node.labels.length > 0) line(`Labels: ${node.labels.join(', ')}`);
  line(node.origin === 'settings' ? 'From the settings' : 'From the ssh configuration');
  if (state.kind === 'ready' && state.clock !== undefined) {
    for (const words of describeClock(state.clock, showTime)) line(words);
  }
  for (const step of report?.steps ?? []) {
    if (step.title === 'Not supported') line(`Not supported of its configuration: ${step.detail}`);
  }
  return text;
}
