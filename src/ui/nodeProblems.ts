// Wrong entries of `faultline.nodes`: one message for all of them, and only when they are others than before.

import * as vscode from 'vscode';
import { toDisplay, toNotice } from '../base/displayText.ts';

const openSettings = 'Open Settings';
const maxTold = 3;

export class NodeProblems {
  private told = '';

  /** The other entries are in use; what is told here is about these only. */
  tell(problems: readonly Error[]): void {
    const sentences = problems.map(({ message }) => `${toDisplay(message, 300)}.`);
    const all = sentences.join('\n');
    if (all === this.told) return;
    this.told = all;
    if (sentences.length === 0) return;
    const more = sentences.length - maxTold;
    const rest = more > 0 ? [`And ${more} more.`] : [];
    const text = toNotice([...sentences.slice(0, maxTold), ...rest].join(' '));
    void vscode.window.showWarningMessage(text, openSettings).then((choice) => {
      if (choice !== openSettings) return;
      void vscode.commands.executeCommand('workbench.action.openSettings', 'faultline.nodes');
    });
  }
}
