// The Live Logs view: entries of the followed nodes as they are written, merged by corrected time.

import * as vscode from 'vscode';
import { toDisplayLines } from '../base/displayText.ts';
import type { Event } from '../base/emitter.ts';
import { assertNever } from '../base/errors.ts';
import { lateMark } from '../log/entryText.ts';
import { LiveLog, type LiveItem } from '../log/liveLog.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import { maxRows, readFromLogs, type FromLogs, type ToLogs } from '../webview/logs/protocol.ts';
import { LiveFeed, nodeRows } from './liveFeed.ts';
import { views } from './names.ts';
import type { Reporter } from './report.ts';
import { localZoneName, type TimeZoneSwitch } from './timeDisplay.ts';
import { webviewHtml, webviewRoots } from './webviewHtml.ts';

/** How often new rows are sent: fast enough to look live, slow enough to send many at once. */
const sendMs = 100;
const maxKeptCharacters = 64 << 20;
const maxDetailLength = 200_000;

/** The nodes, also as the settings change. */
export interface FollowedNodes extends NodeAccess {
  readonly onDidChangeNodes: Event<unknown>;
}

export interface FollowActions {
  /** Shows the request's entries on all nodes. */
  searchContext(contextId: string): Promise<void>;
}

export class FollowView implements vscode.WebviewViewProvider, vscode.Disposable {
  private readonly extensionUri: vscode.Uri;
  private readonly access: FollowedNodes;
  private readonly actions: FollowActions;
  private readonly times: Pick<TimeZoneSwitch, 'display' | 'onDidChange'>;
  private readonly reporter: Reporter;
  private readonly live: LiveLog;
  private readonly subscriptions: vscode.Disposable;
  private readonly feed = new LiveFeed({ rows: maxRows, characters: maxKeptCharacters });
  private view: vscode.WebviewView | undefined;
  /** The page has said it is there, since it was last thrown away. */
  private isReady = false;
  private isPaused = false;
  private isSending = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    extensionUri: vscode.Uri,
    access: FollowedNodes,
    actions: FollowActions,
    times: Pick<TimeZoneSwitch, 'display' | 'onDidChange'>,
    reporter: Reporter,
  ) {
    this.extensionUri = extensionUri;
    this.access = access;
    this.actions = actions;
    this.times = times;
    this.reporter = reporter;
    this.live = new LiveLog(access);
    this.live.onDidAdd((items) => {
      this.feed.add(items);
      this.sendSoon();
    });
    this.live.onDidChangeNode(() => this.sendNodes());
    this.subscriptions = vscode.Disposable.from(
      access.onDidChange(() => this.sendNodes()),
      access.onDidChangeNodes(() => this.sendNodes()),
      times.onDidChange(() => this.sendTimes()),
    );
  }

  /** Shows the view and starts to follow these nodes, besides those that are followed already. */
  async follow(nodes: readonly Node[]): Promise<void> {
    for (const node of nodes) this.live.start(node);
    await vscode.commands.executeCommand(`${views.liveLogs}.focus`);
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    this.view = view;
    view.webview.options = {
      enableScripts: true,
      localResourceRoots: webviewRoots(this.extensionUri),
    };
    view.webview.onDidReceiveMessage((message: unknown) => {
      const asked = readFromLogs(message);
      if (asked !== undefined) this.reporter.report(this.answer(asked));
    });
    view.onDidChangeVisibility(() => {
      this.sendTimes();
      this.sendNodes();
      this.sendSoon();
    });
    view.onDidDispose(() => {
      this.view = undefined;
      this.isReady = false;
    });
    view.webview.html = webviewHtml(view.webview, this.extensionUri, {
      script: 'logs',
      styles: ['logs'],
      title: 'Live Logs',
    });
  }

  dispose(): void {
    this.subscriptions.dispose();
    clearTimeout(this.timer);
    this.live.dispose();
  }

  private async answer(asked: FromLogs): Promise<void> {
    switch (asked.type) {
      case 'ready':
        this.isReady = true;
        this.isPaused = false;
        this.feed.restart();
        this.sendTimes();
        this.sendNodes();
        this.sendSoon();
        return;
      case 'start':
      case 'stop': {
        const node = this.access.nodes.find(({ name }) => name === asked.node);
        if (node === undefined) return;
        if (asked.type === 'start') this.live.start(node);
        else await this.live.stop(node);
        return;
      }
      case 'pause':
        this.isPaused = asked.isPaused;
        this.sendSoon();
        return;
      case 'clear':
        await this.post(this.feed.clear());
        return;
      case 'detail': {
        const item = this.feed.find(asked.id);
        if (item === undefined) return;
        await this.post({ type: 'detail', id: asked.id, text: await this.textOf(item) });
        return;
      }
      case 'searchContext': {
        const item = this.feed.find(asked.id);
        const contextId = item?.kind === 'entry' ? item.entry.contextId : undefined;
        if (contextId !== undefined) await this.actions.searchContext(contextId);
        return;
      }
      case 'copy': {
        const items = asked.ids
          .map((id) => this.feed.find(id))
          .filter((item) => item !== undefined);
        const texts = await Promise.all(items.map((item) => this.textOf(item)));
        await vscode.env.clipboard.writeText(texts.join('\n'));
        return;
      }
      default:
        assertNever(asked);
    }
  }

  /** As the document of a search shows it. */
  private async textOf(item: LiveItem): Promise<string> {
    if (item.kind !== 'entry') return toDisplayLines(item.reason);
    // pino-pretty is loaded when the first entry is looked at, not with the extension.
    const { entryRenderer } = await import('../log/render.ts');
    const lines = entryRenderer({ colorize: false, times: this.times.display })(
      item.entry,
      item.entry.isLate ? lateMark : '',
    );
    return lines.join('\n').slice(0, maxDetailLength);
  }

  private sendTimes(): void {
    const { display } = this.times;
    this.reporter.report(this.post({ type: 'times', display, localZone: localZoneName() }));
  }

  private sendNodes(): void {
    const nodes = nodeRows(this.access.nodes, this.live.nodes);
    this.reporter.report(this.post({ type: 'nodes', nodes }));
  }

  private sendSoon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.reporter.report(this.sendRows());
    }, sendMs);
  }

  /** One batch after the other, so that a slow page holds back what is sent and not its own memory. */
  private async sendRows(): Promise<void> {
    if (this.isSending) return;
    this.isSending = true;
    try {
      while (this.canTakeRows()) {
        const message = this.feed.next();
        if (message === undefined) return;
        await this.post(message);
      }
    } finally {
      this.isSending = false;
    }
  }

  private canTakeRows(): boolean {
    return this.isReady && !this.isPaused && this.view?.visible === true;
  }

  /** What is sent to a hidden page is lost: it gets its rows later, and the nodes' states when it is shown. */
  private async post(message: ToLogs): Promise<void> {
    if (this.isReady && this.view?.visible === true) await this.view.webview.postMessage(message);
  }
}
