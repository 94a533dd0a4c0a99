// Passphrases of key files that the user wants kept: in VS Code's SecretStorage (the system's keyring), nowhere else.

import * as vscode from 'vscode';
import { toNotice } from '../base/displayText.ts';
import type { PassphraseQuestion } from '../remote/loginPrompts.ts';

const secretName = 'faultline.passphrases';
const noOfferName = 'faultline.passphrases.noOffer';

export class PassphraseStore {
  private readonly secrets: vscode.SecretStorage;
  private readonly memory: vscode.Memento;

  /** `memory` holds only that the user does not want to be asked again. */
  constructor(secrets: vscode.SecretStorage, memory: vscode.Memento) {
    this.secrets = secrets;
    this.memory = memory;
  }

  /** The kept passphrase; one that proved wrong is forgotten. */
  async recall({ keyFile, wasWrong }: PassphraseQuestion): Promise<string | undefined> {
    const kept = await this.read();
    if (!wasWrong) return kept.get(keyFile);
    if (kept.delete(keyFile)) await this.write(kept);
    return undefined;
  }

  /** A passphrase that was right is held for this window anyway; keeping it longer is the user's choice. */
  offerToKeep(keyFile: string, passphrase: string): void {
    void this.ask(keyFile, passphrase);
  }

  async forgetAll(): Promise<number> {
    const kept = await this.read();
    await this.secrets.delete(secretName);
    await this.memory.update(noOfferName, undefined);
    return kept.size;
  }

  private async ask(keyFile: string, passphrase: string): Promise<void> {
    const kept = await this.read();
    if (kept.get(keyFile) === passphrase || this.memory.get(noOfferName) === true) return;
    const keep = 'Keep';
    const never = 'Never Ask';
    const answer = await vscode.window.showInformationMessage(
      `${toNotice(keyFile, 200)} is unlocked until this window closes. ` +
        'Keep its passphrase in the system’s keyring?',
      keep,
      'Only Now',
      never,
    );
    if (answer === never) await this.memory.update(noOfferName, true);
    if (answer !== keep) return;
    const latest = await this.read();
    await this.write(latest.set(keyFile, passphrase));
  }

  private async read(): Promise<Map<string, string>> {
    const text = await this.secrets.get(secretName);
    if (text === undefined) return new Map();
    const values: unknown = JSON.parse(text);
    const entries = typeof values === 'object' && values !== null ? Object.entries(values) : [];
    return new Map(
      entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  }

  private async write(kept: ReadonlyMap<string, string>): Promise<void> {
    await this.secrets.store(secretName, JSON.stringify(Object.fromEntries(kept)));
  }
}
