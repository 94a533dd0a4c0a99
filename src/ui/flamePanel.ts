// Profiles as panels: one panel a profile. The page may ask for three things only: a source line, a
// text on the clipboard, a file to be saved.

import { randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import { assertNever, UserError } from '../base/errors.ts';
import { profileFormat, profileFormats } from '../profile/profileFile.ts';
import { defaultKind, type Profile } from '../profile/profile.ts';
import { readFromFlame, type FromFlame, type ToFlame } from '../webview/flame/protocol.ts';
import type { Reporter } from './report.ts';
import { webviewHtml, webviewRoots } from './webviewHtml.ts';

/** Shows a line (from 1) of a file on a node. `node` is '' for a profile read from a file. */
export type OpenSource = (node: string, file: string, line: number) => Promise<void>;

export class FlamePanels implements vscode.Disposable {
  private readonly extensionUri: vscode.Uri;
  private readonly openSource: OpenSource;
  private readonly reporter: Reporter;
  private readonly panels = new Set<vscode.WebviewPanel>();

  constructor(extensionUri: vscode.Uri, openSource: OpenSource, reporter: Reporter) {
    this.extensionUri = extensionUri;
    this.openSource = openSource;
    this.reporter = reporter;
  }

  /** Opens the profile in a panel of its own. */
  show(profile: Profile, title: string): void {
    const panel = vscode.window.createWebviewPanel(
      'faultline.profile',
      title,
      vscode.ViewColumn.Active,
      {
        enableScripts: true,
        localResourceRoots: webviewRoots(this.extensionUri),
      },
    );
    this.panels.add(panel);
    panel.onDidDispose(() => this.panels.delete(panel));
    const message: ToFlame = { type: 'profile', id: randomUUID(), title, profile };
    panel.webview.onDidReceiveMessage((received: unknown) => {
      const asked = readFromFlame(received);
      if (asked !== undefined) this.reporter.report(this.answer(panel, message, asked));
    });
    panel.webview.html = webviewHtml(panel.webview, this.extensionUri, {
      script: 'flame',
      styles: ['flame'],
      title,
    });
  }

  dispose(): void {
    for (const panel of [...this.panels]) panel.dispose();
  }

  private async answer(
    panel: vscode.WebviewPanel,
    message: ToFlame,
    asked: FromFlame,
  ): Promise<void> {
    switch (asked.type) {
      case 'ready':
        // Also after the page was hidden, which is when VS Code throws it away.
        await panel.webview.postMessage(message);
        return;
      case 'openSource':
        if (isFileOf(message.profile, asked.file)) {
          await this.openSource(message.profile.meta.node, asked.file, asked.line);
        }
        return;
      case 'copy':
        await vscode.env.clipboard.writeText(asked.text);
        return;
      case 'save':
        await save(message.profile);
        return;
      default:
        assertNever(asked);
    }
  }
}

/** A page can only lead to files its own profile names. */
function isFileOf(profile: Profile, file: string): boolean {
  return profile.frames.files.includes(file);
}

async function save(profile: Profile): Promise<void> {
  const { node, pid } = profile.meta;
  const name = [node, pid].filter((part) => part !== '' && part !== undefined).join('-');
  const ending = '.speedscope.json';
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const file = `${safeName(name)}${ending}`;
  const uri = await vscode.window.showSaveDialog({
    title: `Save profile (${profileFormats.map((format) => format.ending).join(', ')})`,
    ...(folder === undefined ? {} : { defaultUri: vscode.Uri.joinPath(folder, file) }),
  });
  if (uri === undefined) return;
  const text = profileFormat(uri.path).write(profile, defaultKind(profile));
  try {
    await vscode.workspace.fs.writeFile(uri, new TextEncoder().encode(text));
  } catch (cause) {
    throw new UserError('profile.cannotSave', `${uri.path} could not be written.`, { cause });
  }
}

/** A file name made of a node's name: letters, digits, dots and dashes only. */
function safeName(name: string): string {
  return name.replace(/[^\w.-]+/g, '-').replace(/^[.-]+/, '') || 'profile';
}
