// Search results in the editor: log documents, with what can be done from an entry. Frozen: a document shows
// one search's answer until it is searched again.

import * as vscode from 'vscode';
import { toDisplay, toDisplayLines } from '../base/displayText.ts';
import { rowAt, type DocumentRow, type LogDocument } from '../log/documentRows.ts';
import { isAtLeast, toJson } from '../log/logEntry.ts';
import type { LogQuery } from '../log/query.ts';
import { searchNodes, type SearchProgress, type SearchResult } from '../log/search.ts';
import { findSourceLinks } from '../log/sourceLinks.ts';
import { noSources } from '../log/sources.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import { formatNodeUri } from '../remote/nodeFiles.ts';
import { abortSignalOf } from './cancellation.ts';
import type { TimeDisplay } from '../base/time.ts';
import { schemes, type CommandsOf } from './names.ts';
import type { TimeZoneSwitch } from './timeDisplay.ts';

export const logLanguage = 'faultline-log';

/** Results kept; older ones whose document is closed are dropped and can be searched again. */
const maxResults = 20;
const maxLenses = 500;
const maxLinks = 2000;
const maxHoverLength = 20_000;

/** What a document's address holds: enough to ask again, also after the window was reloaded. */
interface Question {
  readonly id: string;
  readonly nodes: readonly string[];
  readonly query: LogQuery;
}

interface KeptResult {
  readonly uri: vscode.Uri;
  readonly result: SearchResult;
  readonly display: TimeDisplay;
  readonly document: LogDocument;
}

export class LogDocuments
  implements
    vscode.TextDocumentContentProvider,
    vscode.CodeLensProvider,
    vscode.HoverProvider,
    vscode.FoldingRangeProvider,
    vscode.DocumentLinkProvider,
    vscode.Disposable
{
  private readonly access: NodeAccess;
  private readonly times: Pick<TimeZoneSwitch, 'display' | 'onDidChange'>;
  private readonly results = new Map<string, KeptResult>();
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  private readonly subscriptions: vscode.Disposable;
  private nextId = 1;

  readonly onDidChange = this.changed.event;

  constructor(access: NodeAccess, times: Pick<TimeZoneSwitch, 'display' | 'onDidChange'>) {
    this.access = access;
    this.times = times;
    const selector = { scheme: schemes.log };
    vscode.workspace.textDocuments.forEach(setLanguage);
    this.subscriptions = vscode.Disposable.from(
      // Titles have no ending that could tell the language; a restored window opens them by itself.
      vscode.workspace.onDidOpenTextDocument(setLanguage),
      vscode.languages.registerCodeLensProvider(selector, this),
      vscode.languages.registerHoverProvider(selector, this),
      vscode.languages.registerFoldingRangeProvider(selector, this),
      vscode.languages.registerDocumentLinkProvider(selector, this),
      // Its text is asked for again; its entries stand on the same lines as before.
      this.times.onDidChange(() => {
        for (const { uri } of this.results.values()) this.changed.fire(uri);
      }),
    );
  }

  dispose(): void {
    this.subscriptions.dispose();
    this.changed.dispose();
    this.results.clear();
  }

  /** What CodeLenses and links call; internal, as each needs a document or an id. */
  commands(): CommandsOf<'logs'> {
    return {
      searchLogsAgain: (uri) => this.searchAgain(uri),
      sameRequest: (contextId) => {
        return typeof contextId === 'string' ? this.searchContext(contextId) : undefined;
      },
    };
  }

  /** Searches a request on all nodes that name log files. */
  searchContext(contextId: string): Promise<void> {
    return this.search(this.nodesWithLogs(), { contextId });
  }

  /** Asks the nodes, with progress that can be cancelled, and shows the answer in a new document. */
  async search(nodes: readonly Node[], query: LogQuery): Promise<void> {
    const question = { id: String(this.nextId++), nodes: nodes.map(({ name }) => name), query };
    const uri = uriOf(question);
    if (!(await this.ask(uri, nodes, query))) return;
    const document = await vscode.workspace.openTextDocument(uri);
    await vscode.window.showTextDocument(document, { preview: false });
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const kept = this.results.get(uri.toString());
    if (kept === undefined)
      return '# This result is no longer kept: choose "Search again" above.\n';
    if (kept.display !== this.times.display) await this.keep(uri, kept.result);
    return this.results.get(uri.toString())?.document.text ?? '';
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    const result = this.results.get(document.uri.toString())?.document;
    const again = new vscode.CodeLens(new vscode.Range(0, 0, 0, 0), {
      title: '$(refresh) Search again',
      command: 'faultline.searchLogsAgain',
      arguments: [document.uri],
    });
    const searched = questionOf(document.uri)?.query.contextId;
    const rows = result?.rows.filter(hasFailed).slice(0, maxLenses) ?? [];
    return [again, ...rows.flatMap((row) => lensesOf(row, searched))];
  }

  provideHover(document: vscode.TextDocument, position: vscode.Position): vscode.Hover | undefined {
    const row = this.rowAt(document, position.line);
    if (row === undefined) return undefined;
    // A code block, in untrusted Markdown: nothing in it is a link, a command or a picture.
    const text = new vscode.MarkdownString();
    text.appendCodeblock(describeEntry(row), 'json');
    return new vscode.Hover(text);
  }

  provideFoldingRanges(document: vscode.TextDocument): vscode.FoldingRange[] {
    const rows = this.results.get(document.uri.toString())?.document.rows ?? [];
    return rows
      .filter(({ lineCount }) => lineCount > 1)
      .map(({ firstLine, lineCount }) => {
        return new vscode.FoldingRange(firstLine, firstLine + lineCount - 1);
      });
  }

  provideDocumentLinks(document: vscode.TextDocument): vscode.DocumentLink[] {
    const rows = this.results.get(document.uri.toString())?.document.rows ?? [];
    const searched = questionOf(document.uri)?.query.contextId;
    const links: vscode.DocumentLink[] = [];
    for (const row of rows) {
      if (links.length >= maxLinks) break;
      for (let line = row.firstLine; line < row.firstLine + row.lineCount; line++) {
        const text = document.lineAt(line).text;
        links.push(...sourceLinksOf(text, line, row.entry.node));
        if (line === row.firstLine) links.push(...contextLinkOf(text, row, searched));
      }
    }
    return links;
  }

  private rowAt(document: vscode.TextDocument, line: number): DocumentRow | undefined {
    const result = this.results.get(document.uri.toString())?.document;
    return result === undefined ? undefined : rowAt(result, line);
  }

  private async searchAgain(uri: unknown): Promise<void> {
    if (!(uri instanceof vscode.Uri)) return;
    const question = questionOf(uri);
    if (question === undefined) return;
    const nodes = this.access.nodes.filter(({ name }) => question.nodes.includes(name));
    if (await this.ask(uri, nodes, question.query)) this.changed.fire(uri);
  }

  /** False when the user cancelled. */
  private async ask(uri: vscode.Uri, nodes: readonly Node[], query: LogQuery): Promise<boolean> {
    const options = {
      location: vscode.ProgressLocation.Notification,
      title: `Searching ${nodes.length === 1 ? '1 node' : `${nodes.length} nodes`}`,
      cancellable: true,
    };
    return vscode.window.withProgress(options, async (progress, token) => {
      const signal = abortSignalOf(token);
      try {
        const onProgress = progressText((message) => progress.report({ message }), nodes.length);
        const result = await searchNodes(this.access, nodes, query, { onProgress }, signal);
        await this.keep(uri, result);
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        throw error;
      }
    });
  }

  /** Renders a result for the zone that is chosen now, and keeps it. */
  private async keep(uri: vscode.Uri, result: SearchResult): Promise<void> {
    const { display } = this.times;
    // pino-pretty is loaded with the first result, not with the extension.
    const { renderDocument } = await import('../log/logDocument.ts');
    const document = renderDocument(result, display);
    this.results.set(uri.toString(), { uri, result, display, document });
    const open = new Set(vscode.workspace.textDocuments.map((shown) => shown.uri.toString()));
    for (const key of this.results.keys()) {
      if (this.results.size <= maxResults) return;
      if (key !== uri.toString() && !open.has(key)) this.results.delete(key);
    }
  }

  private nodesWithLogs(): readonly Node[] {
    const nodes = this.access.nodes.filter(({ logs }) => logs.length > 0);
    const [first] = this.access.nodes;
    if (nodes.length === 0 && first !== undefined) throw noSources(first);
    return nodes;
  }
}

function setLanguage(document: vscode.TextDocument): void {
  if (document.uri.scheme !== schemes.log || document.languageId === logLanguage) return;
  vscode.languages.setTextDocumentLanguage(document, logLanguage).then(undefined, () => {
    // It was closed meanwhile.
  });
}

// --- addresses -----------------------------------------------------------------------------------------

function uriOf(question: Question): vscode.Uri {
  return vscode.Uri.from({
    scheme: schemes.log,
    // The last part of the path is the tab's title; a slash would cut it.
    path: `/${titleOf(question.query).replaceAll('/', '∕')}`,
    query: JSON.stringify(question),
  });
}

function titleOf(query: LogQuery): string {
  if (query.contextId !== undefined) return `Request ${toDisplay(query.contextId, 80)}`;
  if (query.text !== undefined) return `Logs “${toDisplay(query.text, 60)}”`;
  return query.level === undefined ? 'Logs' : `Logs, ${query.level} and above`;
}

/** The address may come from a restored window or from somebody else's link: it is checked. */
function questionOf(uri: vscode.Uri): Question | undefined {
  try {
    const { id, nodes, query } = JSON.parse(uri.query) as Partial<Question>;
    const isQuestion =
      typeof id === 'string' &&
      Array.isArray(nodes) &&
      nodes.every((node) => typeof node === 'string') &&
      typeof query === 'object' &&
      query !== null &&
      [query.contextId, query.text].every((text) => ['string', 'undefined'].includes(typeof text));
    return isQuestion ? { id, nodes, query } : undefined;
  } catch {
    // Not an address of ours.
    return undefined;
  }
}

// --- what entries offer --------------------------------------------------------------------------------

function hasFailed({ entry }: DocumentRow): boolean {
  return isAtLeast(entry.level, 'error');
}

function lensesOf(
  { entry, firstLine }: DocumentRow,
  searched: string | undefined,
): vscode.CodeLens[] {
  const range = new vscode.Range(firstLine, 0, firstLine, 0);
  const { node, runId, contextId } = entry;
  const lenses = [];
  if (runId !== undefined || contextId !== undefined) {
    lenses.push(
      new vscode.CodeLens(range, {
        title: '$(debug-restart) Reopen run',
        tooltip: 'Compare the run that wrote this entry with its node now, and start it again',
        command: 'faultline.reopenRunOfEntry',
        arguments: [{ node, runId, contextId }],
      }),
    );
  }
  if (contextId !== undefined && contextId !== searched) {
    lenses.push(
      new vscode.CodeLens(range, {
        title: '$(search) Same request',
        tooltip: 'Search this request on all nodes',
        command: 'faultline.sameRequest',
        arguments: [contextId],
      }),
    );
  }
  return lenses;
}

function describeEntry({ entry }: DocumentRow): string {
  const text = toDisplayLines(JSON.stringify(toJson(entry), undefined, 2));
  return text.length > maxHoverLength ? `${text.slice(0, maxHoverLength)}…` : text;
}

function sourceLinksOf(text: string, line: number, node: string): vscode.DocumentLink[] {
  return findSourceLinks(text).map((link) => {
    const file = vscode.Uri.parse(formatNodeUri({ node, path: link.path }), true);
    const shown = new vscode.DocumentLink(
      new vscode.Range(line, link.start, line, link.end),
      file.with({ fragment: `L${link.line}` }),
    );
    shown.tooltip = `Open on ${toDisplay(node, 60)}`;
    return shown;
  });
}

function contextLinkOf(
  text: string,
  { entry: { contextId }, firstLine }: DocumentRow,
  searched: string | undefined,
): vscode.DocumentLink[] {
  if (contextId === undefined || contextId === searched) return [];
  const shownId = `[${toDisplay(contextId, 200)}]`;
  const start = text.indexOf(shownId);
  if (start < 0) return [];
  const args = encodeURIComponent(JSON.stringify([contextId]));
  const link = new vscode.DocumentLink(
    new vscode.Range(firstLine, start + 1, firstLine, start + shownId.length - 1),
    vscode.Uri.parse(`command:faultline.sameRequest?${args}`),
  );
  link.tooltip = 'Search this request on all nodes';
  return [link];
}

/** `2 of 5 nodes answered, 120 entries` */
function progressText(
  report: (message: string) => void,
  nodeCount: number,
): (progress: SearchProgress) => void {
  const byNode = new Map<string, SearchProgress>();
  return (progress) => {
    byNode.set(progress.node, progress);
    const all = [...byNode.values()];
    const done = all.filter(({ isDone }) => isDone).length;
    const entries = all.reduce((sum, one) => sum + one.entries, 0);
    report(`${done} of ${nodeCount} answered, ${entries.toLocaleString('en')} entries`);
  };
}
