// The one place that decides where an error is shown, and that no promise is lost.

import * as vscode from 'vscode';
import { describeError, isAbort, UserError } from '../base/errors.ts';
import { toDisplay, toNotice } from '../base/displayText.ts';

export class Reporter implements vscode.Disposable {
  private readonly log = vscode.window.createOutputChannel('Faultline', { log: true });

  /** A notification for the user; the log gets the stack of what is a bug. Cancellation is silent. */
  error(error: unknown): void {
    if (isAbort(error)) return;
    const text = toNotice(describeError(error), 600);
    if (error instanceof UserError) {
      this.log.warn(`${error.code}: ${text}`);
      void vscode.window.showErrorMessage(text);
      return;
    }
    this.log.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
    void vscode.window.showErrorMessage(`Faultline: ${text}`, 'Show Log').then((choice) => {
      if (choice !== undefined) this.log.show();
    });
  }

  info(text: string): void {
    this.log.info(toDisplay(text, 2000));
  }

  /** For work nobody waits for. */
  report(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.error(error));
  }

  show(): void {
    this.log.show();
  }

  dispose(): void {
    this.log.dispose();
  }
}
