// The questions a login may ask, as VS Code dialogs. All words of a node are shown as the node's.

import * as vscode from 'vscode';
import { toDisplay, toNotice } from '../base/displayText.ts';
import { HostKeyQuestions } from '../remote/hostKeyQuestions.ts';
import type {
  HostKeyQuestion,
  LoginPrompts,
  PassphraseQuestion,
  PasswordQuestion,
} from '../remote/loginPrompts.ts';
import { oneAtATime } from '../remote/promptQueue.ts';
import type { PassphraseStore } from './passphraseStore.ts';

/** Host keys in one dialog are listed up to here; the rest is counted, and then there is no way to accept. */
const maxListedKeys = 40;
const maxPromptLength = 256;

/** Prompts of a connection that the user asked for. Nothing is asked for work in the background. */
export function loginPrompts(passphrases: PassphraseStore): LoginPrompts {
  const hostKeys = new HostKeyQuestions(askHostKeys);
  return oneAtATime({
    hostKey: (question) => hostKeys.ask(question),
    passphrase: async (question) =>
      (await passphrases.recall(question)) ?? (await askPassphrase(question)),
    password: askPassword,
    onDidUnlock: (keyFile, passphrase) => passphrases.offerToKeep(keyFile, passphrase),
  });
}

async function askHostKeys(questions: readonly HostKeyQuestion[]): Promise<boolean> {
  const accept = questions.length === 1 ? 'Accept and Remember' : 'Accept and Remember All';
  const [first] = questions;
  if (first === undefined) return false;
  const listed = questions.slice(0, maxListedKeys);
  const files = [...new Set(questions.map((question) => question.knownHostsFile))].join(', ');
  const hidden = questions.length - listed.length;
  const detail = [
    ...listed.map(describeKey),
    ...(hidden > 0 ? [`… and ${hidden} more: connect to fewer nodes at once to see them.`] : []),
    '',
    questions.length === 1
      ? 'Compare this fingerprint with one you got another way.'
      : 'Compare these fingerprints with ones you got another way.',
    `If you accept, ${questions.length === 1 ? 'it is' : 'they are'} added to ${toDisplay(files, 500)}.`,
  ].join('\n');
  const answer = await vscode.window.showWarningMessage(
    questions.length === 1
      ? `The host key of ${toDisplay(first.name, 200)} is not known.`
      : `The host keys of ${questions.length} nodes are not known.`,
    { modal: true, detail },
    ...(hidden > 0 ? [] : [accept]),
  );
  return answer === accept;
}

function describeKey({ name, keyType, fingerprint }: HostKeyQuestion): string {
  return `${toDisplay(name, 200)} (${toDisplay(keyType, 60)})\n${fingerprint}`;
}

function askPassphrase({ keyFile, wasWrong }: PassphraseQuestion): Promise<string | undefined> {
  const file = toDisplay(keyFile, 200);
  return input({
    title: wasWrong ? 'Wrong passphrase' : 'Passphrase of a key',
    prompt: toNotice(wasWrong ? `That did not unlock ${file}: try again` : `Passphrase of ${file}`),
    password: true,
  });
}

function askPassword(question: PasswordQuestion): Promise<string | undefined> {
  const where = toDisplay(question.where, 100);
  const text = toDisplay(question.text, maxPromptLength);
  return input({
    title: question.isFromNode
      ? `${where} asks (these are the node’s words)`
      : `Log in on ${where}`,
    prompt: toNotice(question.isFromNode ? `${where} says: “${text}”` : text),
    password: !question.echo,
  });
}

function input(options: vscode.InputBoxOptions): Promise<string | undefined> {
  return Promise.resolve(vscode.window.showInputBox({ ...options, ignoreFocusOut: true }));
}
