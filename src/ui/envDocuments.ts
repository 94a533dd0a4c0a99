// Environments in the editor: one as a document, two side by side as VS Code's own diff of their chapters, a
// ranked summary first.

import * as vscode from 'vscode';
import { mapBounded } from '../base/async.ts';
import { toDisplay, toNotice } from '../base/displayText.ts';
import { canonicalText } from '../env/canonical.ts';
import { snapshotNode } from '../env/collect.ts';
import { fromSnapshot } from '../env/comparable.ts';
import { diffEnvironments } from '../env/diff.ts';
import type { EnvSnapshot } from '../env/envSnapshot.ts';
import type { RedactionKey } from '../env/redactionKey.ts';
import { differingChapters, summaryTexts } from '../env/summary.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import { abortSignalOf } from './cancellation.ts';
import { schemes } from './names.ts';

/**
 * The oldest texts beyond this many are dropped. Not when their documents close: the diff of many pairs closes
 * and asks again while it is scrolled.
 */
const maxTexts = 200;

/** Two nodes at once: that is how many are compared. */
const maxNodesAtOnce = 2;

export class EnvDocuments implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly access: NodeAccess;
  /** The key of the hashes; from SecretStorage. */
  private readonly key: () => Promise<RedactionKey>;
  private readonly texts = new Map<string, string>();
  private nextId = 1;

  constructor(access: NodeAccess, key: () => Promise<RedactionKey>) {
    this.access = access;
    this.key = key;
  }

  dispose(): void {
    this.texts.clear();
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    // A window that was reloaded shows its tabs again, but snapshots are not kept over that.
    return (
      this.texts.get(uri.toString()) ??
      'This environment is no longer kept: take it again in the Nodes view.\n'
    );
  }

  /** Takes a snapshot of the node and shows it. */
  async showNode(node: Node): Promise<void> {
    const snapshots = await this.takeSnapshots([node]);
    if (snapshots !== undefined) await this.showSnapshot(snapshots[0] as EnvSnapshot);
  }

  /** Takes snapshots of both nodes and shows them side by side. */
  async compareNodes(a: Node, b: Node): Promise<void> {
    const snapshots = await this.takeSnapshots([a, b]);
    if (snapshots === undefined) return;
    await this.compareEnvironments(snapshots[0] as EnvSnapshot, snapshots[1] as EnvSnapshot);
  }

  async showSnapshot(snapshot: EnvSnapshot): Promise<void> {
    const uri = this.add(`Environment of ${toDisplay(snapshot.node, 60)}`, canonicalText(snapshot));
    const document = await vscode.workspace.openTextDocument(uri);
    await vscode.window.showTextDocument(document, { preview: true });
  }

  /** One pair of documents for each chapter that differs, the likeliest trouble first. */
  async compareEnvironments(a: EnvSnapshot, b: EnvSnapshot): Promise<void> {
    const comparison = diffEnvironments(fromSnapshot(a), fromSnapshot(b));
    const title = `${toDisplay(a.node, 60)} ↔ ${toDisplay(b.node, 60)}`;
    const chapters = differingChapters(a, b, comparison);
    if (comparison.differences.length === 0 && chapters.length === 0) {
      const folded = `${comparison.folded.length} facts that do not matter are left out`;
      void vscode.window.showInformationMessage(toNotice(`${title}: no differences (${folded}).`));
      return;
    }
    const summary = summaryTexts(comparison);
    const pairs = [
      this.addPair(`${title}/Differences`, summary.a, summary.b),
      ...chapters.map(([left, right]) =>
        this.addPair(`${title}/${left.title}`, left.text, right.text),
      ),
    ];
    await vscode.commands.executeCommand('vscode.changes', title, pairs);
  }

  /** Both sides have one path, or VS Code would tell of a renamed file: left and right are in the title. */
  private addPair(name: string, a: string, b: string): [vscode.Uri, vscode.Uri, vscode.Uri] {
    const [left, right] = [this.add(name, a), this.add(name, b)];
    return [right, left, right];
  }

  private add(name: string, text: string): vscode.Uri {
    const id = this.nextId++;
    // The query tells documents of one name apart; the path is what the user sees.
    const uri = vscode.Uri.from({
      scheme: schemes.environment,
      path: `/${name}`,
      query: String(id),
    });
    this.texts.set(uri.toString(), text);
    if (this.texts.size > maxTexts) this.texts.delete(this.texts.keys().next().value as string);
    return uri;
  }

  /** Undefined when the user cancelled. Errors: the first node's that cannot answer. */
  private takeSnapshots(nodes: readonly Node[]): Promise<readonly EnvSnapshot[] | undefined> {
    const names = nodes.map(({ name }) => name).join(' and ');
    return withCancellation(
      `Reading the environment of ${toDisplay(names, 100)}`,
      async (signal) => {
        const key = await this.key();
        const results = await mapBounded(nodes, maxNodesAtOnce, (node) =>
          snapshotNode(this.access, node, key, signal),
        );
        return results.map((result) => {
          if (result.status === 'rejected') throw result.reason;
          return result.value;
        });
      },
    );
  }
}

/** A notification with a button to cancel; what the user cancels ends without a word. */
function withCancellation<T>(
  title: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
  return Promise.resolve(
    vscode.window.withProgress(options, async (_progress, token) => {
      const signal = abortSignalOf(token);
      try {
        return await work(signal);
      } catch (error) {
        if (signal.aborted) return undefined;
        throw error;
      }
    }),
  );
}
