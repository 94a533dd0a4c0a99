// The questions a login may raise that only a person can answer. A connection made in the background is given
// none of them: what would need an answer is then refused.

/** A key nobody has vouched for yet, as shown to the user. */
export interface HostKeyQuestion {
  /** As it would stand in known_hosts: `host`, or `[host]:port`. */
  readonly name: string;
  readonly keyType: string;
  /** `SHA256:…` as ssh-keygen prints it. */
  readonly fingerprint: string;
  /** The file the key is added to when the user says yes. */
  readonly knownHostsFile: string;
}

/**
 * What an accepted key is known by: a key is accepted for the host it was shown for. Otherwise a jump host whose key
 * was accepted could answer for the nodes behind it.
 */
export function acceptanceOf({
  name,
  fingerprint,
}: Pick<HostKeyQuestion, 'name' | 'fingerprint'>): string {
  return `${name} ${fingerprint}`;
}

/** Resolves to true only when the user explicitly accepted the key. */
export type AskHostKey = (question: HostKeyQuestion) => Promise<boolean>;

export interface PassphraseQuestion {
  readonly keyFile: string;
  /** The passphrase given before did not open the key. */
  readonly wasWrong: boolean;
}

export interface PasswordQuestion {
  /** The node's name, or the jump host's. */
  readonly where: string;
  /** What is asked for. */
  readonly text: string;
  /** Whether what is typed may be seen. */
  readonly echo: boolean;
  /** True when `text` comes from the node: it must be shown as the node's words, and may lie. */
  readonly isFromNode: boolean;
}

/** Each resolves to undefined when the user declines. No connection is held open by `hostKey`. */
export interface LoginPrompts {
  readonly hostKey?: AskHostKey;
  readonly passphrase?: (question: PassphraseQuestion) => Promise<string | undefined>;
  readonly password?: (question: PasswordQuestion) => Promise<string | undefined>;
  /** The passphrase was right: it may be kept if the user wants that. */
  readonly onDidUnlock?: (keyFile: string, passphrase: string) => void;
}
