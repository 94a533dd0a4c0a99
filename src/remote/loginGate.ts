// How many logins may be under way at once: sshd drops new connections while many are unauthenticated
// (MaxStartups 10:30:100), and since OpenSSH 9.8 punishes sources that keep coming (PerSourcePenalties).

import { Semaphore } from '../base/async.ts';

/** Unauthenticated connections to one sshd (a node's own, or the bastion's that all pass) at once. */
const maxLoginsPerEntry = 5;
/** In all: each costs a key exchange on our one thread. */
const maxLogins = 8;

export class LoginGate {
  private readonly all = new Semaphore(maxLogins);
  private readonly entries = new Map<string, { readonly places: Semaphore; users: number }>();

  /**
   * Waits for a place at `entry` (`host:port` of the first sshd on the way) and gives the function that frees
   * it: to be called after the login or its failure, and before a person is asked anything.
   */
  async enter(entry: string, signal?: AbortSignal): Promise<() => void> {
    const known = this.entries.get(entry) ?? { places: new Semaphore(maxLoginsPerEntry), users: 0 };
    this.entries.set(entry, known);
    known.users++;
    const forget = (): void => {
      if (--known.users === 0) this.entries.delete(entry);
    };
    try {
      const leaveEntry = await known.places.acquire(signal);
      try {
        const leaveAll = await this.all.acquire(signal);
        let isFree = false;
        return () => {
          if (isFree) return;
          isFree = true;
          leaveAll();
          leaveEntry();
          forget();
        };
      } catch (error) {
        leaveEntry();
        throw error;
      }
    } catch (error) {
      forget();
      throw error;
    }
  }
}
