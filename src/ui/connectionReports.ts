// The connection report of a node as a document: every step on the way with its time, live while it connects.

import * as vscode from 'vscode';
import { toDisplay, toDisplayLines } from '../base/displayText.ts';
import { formatReport } from '../remote/connectionReport.ts';
import type { Node } from '../remote/node.ts';
import type { NodeRegistry } from '../remote/nodeRegistry.ts';
import { pathPart } from './names.ts';

const scheme = 'faultline-connection';
/** Its editors wrap lines: see `configurationDefaults` in package.json. */
const language = 'faultline-report';

export class ConnectionReports implements vscode.TextDocumentContentProvider {
  private readonly registry: NodeRegistry;
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();

  readonly onDidChange = this.changed.event;

  constructor(registry: NodeRegistry) {
    this.registry = registry;
  }

  register(): vscode.Disposable {
    return vscode.Disposable.from(
      this.changed,
      vscode.workspace.registerTextDocumentContentProvider(scheme, this),
      this.registry.onDidChange((node) => {
        const uri = uriOf(node);
        const isOpen = vscode.workspace.textDocuments.some(
          (document) => document.uri.toString() === uri.toString(),
        );
        if (isOpen) this.changed.fire(uri);
      }),
    );
  }

  async show(node: Node): Promise<void> {
    const uri = uriOf(node);
    this.changed.fire(uri);
    const document = await vscode.workspace.openTextDocument(uri);
    await vscode.languages.setTextDocumentLanguage(document, language);
    await vscode.window.showTextDocument(document, { preview: true });
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    const name = uri.path.slice(1).replace(/ connection$/, '');
    const node = this.registry.nodes.find((candidate) => pathPart(candidate.name) === name);
    const report = node === undefined ? undefined : this.registry.report(node);
    if (node === undefined || report === undefined) {
      return `There was no connection to ${toDisplay(name, 200)} in this window yet.\n`;
    }
    const state = this.registry.state(node);
    const reason =
      'failure' in state ? `\n${state.failure.message}\n${state.failure.hint ?? ''}\n` : '';
    return `${formatReport(node.name, report)}${toDisplayLines(reason)}`;
  }
}

function uriOf(node: Node): vscode.Uri {
  return vscode.Uri.from({ scheme, path: `/${pathPart(node.name)} connection` });
}
