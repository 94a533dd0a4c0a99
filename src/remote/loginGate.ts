// How many logins may be under way at once: sshd drops new connections while many are unauthenticated
// (MaxStartups 10:30:100), and since OpenSSH 9.8 punishes sources that keep coming (PerSourcePenalties).

import { Semaphore } from '../base/async.ts';

/** Unauthenticated connections to one sshd (a node's own, or the bastion's that all pass) at once. */
const maxLoginsPerEntry = 5;
/** In all: each costs a key exchange on our one thread. */
const maxLogins = 8;

/** A place at the gate: to be called after the login or its failure, which frees it. */
export interface LoginPass {
  (): void;
  /**
   * While a person is asked, others may log in elsewhere: many questions would hold up every node. To the sshd the
   * connection still counts, so its own place stays taken.
   */
  whileAsking<T>(question: () => Promise<T>): Promise<T>;
}

export class LoginGate {
  private readonly all = new Semaphore(maxLogins);
  private readonly entries = new Map<string, { readonly places: Semaphore; users: number }>();

  /** Waits for a place at `entry` (`host:port` of the first sshd on the way). */
  async enter(entry: string, signal?: AbortSignal): Promise<LoginPass> {
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
        return this.pass(leaveAll, () => {
          leaveEntry();
          forget();
        });
      } catch (error) {
        leaveEntry();
        throw error;
      }
    } catch (error) {
      forget();
      throw error;
    }
  }

  private pass(leaveAll: () => void, leaveEntry: () => void): LoginPass {
    let isFree = false;
    let leaveCurrent = leaveAll;
    let questions = 0;
    const leave = (): void => {
      if (isFree) return;
      isFree = true;
      leaveCurrent();
      leaveEntry();
    };
    const whileAsking = async <T>(question: () => Promise<T>): Promise<T> => {
      if (questions++ === 0) leaveCurrent();
      try {
        return await question();
      } finally {
        if (--questions === 0 && !isFree) {
          const leaveAgain = await this.all.acquire();
          // The login may have ended while it waited for its place.
          if (isFree) leaveAgain();
          else leaveCurrent = leaveAgain;
        }
      }
    };
    return Object.assign(leave, { whileAsking });
  }
}
