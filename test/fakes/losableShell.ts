// A LocalShell whose connection can be lost, as only one over a network can.

import { Emitter } from '../../src/base/emitter.ts';
import { LocalShell } from '../../src/remote/localShell.ts';
import { connectionLost } from '../../src/remote/sshFailures.ts';

export class LosableShell extends LocalShell {
  private readonly lost = new Emitter<Error | undefined>();
  /** A dead connection is only noticed by a ping. */
  isDead = false;
  channelsInUse = 0;

  override readonly onDidClose = this.lost.event;

  lose(reason: Error): void {
    this.lost.fire(reason);
    super.dispose();
  }

  ping(): Promise<void> {
    if (!this.isDead) return Promise.resolve();
    this.lose(connectionLost('a'));
    return Promise.reject(connectionLost('a'));
  }

  override dispose(): void {
    this.lost.fire(undefined);
    super.dispose();
  }
}
