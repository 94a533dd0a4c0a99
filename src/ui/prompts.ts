// The questions a login may ask, as VS Code dialogs. All words of a node are shown as the node's.

import * as vscode from 'vscode';
import { toDisplay } from '../base/displayText.ts';
import type { LoginPrompts } from '../remote/loginPrompts.ts';

/** Prompts of a connection that the user asked for. Nothing is asked for work in the background. */
export function loginPrompts(): LoginPrompts {
  return {
    hostKey: async (question) => {
      const accept = 'Accept and Remember';
      const answer = await vscode.window.showWarningMessage(
        `The host key of ${toDisplay(question.name, 200)} is not known.`,
        {
          modal: true,
          detail:
            `${question.keyType}\n${question.fingerprint}\n\n` +
            'Compare this fingerprint with one you got another way. ' +
            `If you accept it, it is added to ${question.knownHostsFile}.`,
        },
        accept,
      );
      return answer === accept;
    },
    passphrase: (keyFile) =>
      Promise.resolve(
        vscode.window.showInputBox({
          title: 'Passphrase',
          prompt: `Passphrase of the key ${keyFile}`,
          password: true,
          ignoreFocusOut: true,
        }),
      ),
    password: (question) =>
      Promise.resolve(
        vscode.window.showInputBox({
          title: question.isFromNode ? 'The node asks (its own words)' : 'Password',
          prompt: toDisplay(question.text, 256),
          password: !question.echo,
          ignoreFocusOut: true,
        }),
      ),
  };
}
