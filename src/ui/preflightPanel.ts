// The preflight page of a run: what is the same, what differs, what could not be checked; and from there the
// run is started again. One panel a run.

import * as vscode from 'vscode';
import { describeError, isAbort } from '../base/errors.ts';
import { toDisplay, toDisplayLines } from '../base/displayText.ts';
import { isProduction, type Node, type NodeAccess } from '../remote/node.ts';
import { readCurrentFacts } from '../run/current.ts';
import { planLaunch } from '../run/launchPlan.ts';
import { preflight, summarise, type Finding } from '../run/preflight.ts';
import { rerun } from '../run/rerun.ts';
import { describeEnd, headOf, programName, type RunRecord } from '../run/runRecord.ts';
import {
  parseFromPreflight,
  type FromPreflight,
  type PreflightRow,
  type ToPreflight,
} from '../webview/preflight/protocol.ts';
import type { Reporter } from './report.ts';
import { webviewHtml } from './webviewHtml.ts';

/** What the page can ask for beyond its own work; given by the composition root. */
export interface ReopenActions {
  /** Asks for confirmation itself, where one is due. */
  debug(record: RunRecord, node: Node): Promise<void>;
  terminal(record: RunRecord, node: Node): Promise<void>;
  showRecord(record: RunRecord): Promise<void>;
  /** Resolves to false when the user does not want the run started on this node. */
  confirm(record: RunRecord, node: Node): Promise<boolean>;
}

const maxShownOutput = 64 << 10;

export class PreflightPanels implements vscode.Disposable {
  private readonly extensionUri: vscode.Uri;
  private readonly access: NodeAccess;
  private readonly actions: ReopenActions;
  private readonly reporter: Reporter;
  private readonly panels = new Map<string, PreflightPanel>();

  constructor(
    extensionUri: vscode.Uri,
    access: NodeAccess,
    actions: ReopenActions,
    reporter: Reporter,
  ) {
    this.extensionUri = extensionUri;
    this.access = access;
    this.actions = actions;
    this.reporter = reporter;
  }

  show(record: RunRecord, recordedOn: Node): void {
    const open = this.panels.get(record.id);
    if (open !== undefined) return open.reveal();
    const panel = vscode.window.createWebviewPanel(
      'faultline.preflight',
      `Reopen ${toDisplay(programName(record.argv), 40)}`,
      vscode.ViewColumn.Active,
      { enableScripts: true, localResourceRoots: [this.extensionUri] },
    );
    panel.webview.html = webviewHtml(panel.webview, this.extensionUri, {
      title: 'Preflight',
      script: 'preflight',
      styles: ['preflight'],
    });
    const made = new PreflightPanel(
      panel,
      record,
      recordedOn,
      this.access,
      this.actions,
      this.reporter,
    );
    this.panels.set(record.id, made);
    panel.onDidDispose(() => {
      this.panels.delete(record.id);
      made.dispose();
    });
  }

  dispose(): void {
    for (const panel of [...this.panels.values()]) panel.close();
  }
}

class PreflightPanel implements vscode.Disposable {
  private readonly panel: vscode.WebviewPanel;
  private readonly record: RunRecord;
  private readonly recordedOn: Node;
  private readonly access: NodeAccess;
  private readonly actions: ReopenActions;
  private readonly reporter: Reporter;
  private readonly closed = new AbortController();
  private target: Node;
  private lastView: ToPreflight | undefined;
  private lastRerun: ToPreflight | undefined;

  constructor(
    panel: vscode.WebviewPanel,
    record: RunRecord,
    recordedOn: Node,
    access: NodeAccess,
    actions: ReopenActions,
    reporter: Reporter,
  ) {
    this.panel = panel;
    this.record = record;
    this.recordedOn = recordedOn;
    this.target = recordedOn;
    this.access = access;
    this.actions = actions;
    this.reporter = reporter;
    panel.webview.onDidReceiveMessage((message: unknown) => {
      const request = parseFromPreflight(message);
      if (request !== undefined) reporter.report(this.handle(request));
    });
  }

  reveal(): void {
    this.panel.reveal();
  }

  close(): void {
    this.panel.dispose();
  }

  dispose(): void {
    this.closed.abort();
  }

  private async handle(request: FromPreflight): Promise<void> {
    switch (request.type) {
      case 'ready':
        // A page that was hidden has lost everything: it gets the last state again.
        if (this.lastView === undefined) return this.check();
        await this.post(this.lastView);
        if (this.lastRerun !== undefined) await this.post(this.lastRerun);
        return;
      case 'refresh':
        return this.check();
      case 'target': {
        const node = this.access.nodes.find((candidate) => candidate.name === request.node);
        if (node === undefined) return;
        this.target = node;
        return this.check();
      }
      case 'debug':
        return this.actions.debug(this.record, this.target);
      case 'run':
        if (await this.actions.confirm(this.record, this.target)) await this.runAgain();
        return;
      case 'terminal':
        return this.actions.terminal(this.record, this.target);
      case 'record':
        return this.actions.showRecord(this.record);
    }
  }

  private async check(): Promise<void> {
    const target = this.target;
    await this.post({ type: 'checking', target: target.name });
    try {
      const shell = await this.access.shell(target, this.closed.signal);
      const now = await readCurrentFacts(shell, target, this.record, this.closed.signal);
      if (target !== this.target) return;
      this.lastView = this.view(preflight(this.record, now));
      await this.post(this.lastView);
    } catch (error) {
      if (isAbort(error)) return;
      await this.post({ type: 'error', text: toDisplay(describeError(error), 600) });
    }
  }

  private view(findings: readonly Finding[]): ToPreflight {
    const { record, target, recordedOn } = this;
    return {
      type: 'show',
      view: {
        run: record.id,
        command: toDisplay(record.argv.join(' '), 2000),
        cwd: toDisplay(record.cwd.logical, 500),
        end: toDisplay(describeEnd(headOf(record, recordedOn.name)), 500),
        startedAt: record.startedAt,
        recordedOn: recordedOn.name,
        target: target.name,
        nodes: this.access.nodes.map((node) => node.name),
        isProduction: isProduction(target),
        summary: summarise(findings),
        rows: findings.map(toRow),
      },
    };
  }

  /** Reopen without debugger: the output streams into the page, then the verdict. */
  private async runAgain(): Promise<void> {
    const { record, target } = this;
    let output = '';
    const append = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-maxShownOutput);
      this.reporter.report(this.postRerun({ state: 'running', output: toDisplayLines(output) }));
    };
    await this.postRerun({ state: 'running', output: '' });
    try {
      const shell = await this.access.shell(target, this.closed.signal);
      const plan = planLaunch(record, target.name);
      const result = await rerun(
        shell,
        target,
        record,
        plan,
        { onStdout: append, onStderr: append },
        this.closed.signal,
      );
      const text = result.sameFailure
        ? `It failed the same way: ${describeEnd(headOf(record, target.name))}`
        : (result.difference ?? '');
      await this.postRerun({
        state: 'ended',
        output: toDisplayLines(output),
        sameFailure: result.sameFailure,
        text: toDisplay(text, 500),
      });
    } catch (error) {
      if (isAbort(error)) return;
      this.lastRerun = undefined;
      await this.post({ type: 'error', text: toDisplay(describeError(error), 600) });
    }
  }

  private async postRerun(
    rerunView: Extract<ToPreflight, { type: 'rerun' }>['rerun'],
  ): Promise<void> {
    this.lastRerun = { type: 'rerun', rerun: rerunView };
    await this.post(this.lastRerun);
  }

  private async post(message: ToPreflight): Promise<void> {
    if (!this.closed.signal.aborted) await this.panel.webview.postMessage(message);
  }
}

function toRow(finding: Finding): PreflightRow {
  const shown = (text: string | null): string | null =>
    text === null ? null : toDisplay(text, 2000);
  return {
    ...finding,
    fact: toDisplay(finding.fact, 300),
    recorded: shown(finding.recorded),
    current: shown(finding.current),
    note: shown(finding.note),
  };
}
