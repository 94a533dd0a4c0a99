/** What has to be stopped when we stop, however that comes: Ctrl-C, SIGTERM, a closed terminal. */
import { onOrphaned } from './node24.mjs';

/** After which we leave: whatever hangs, the leashes of what we started end it. */
const STOP_TIMEOUT_MS = 20_000;

export class CleanUp {
  /** @type {(() => Promise<void>)[]} */
  #tasks = [];
  /** @type {Promise<void> | undefined} */
  #done;

  /**
   * Remembers how to stop something that was started; the last started is stopped first.
   *
   * @param {() => Promise<void>} stop
   */
  add(stop) {
    this.#tasks.push(stop);
  }

  /**
   * Calls `onStop` once, at the first signal.
   *
   * @param {() => void} onStop
   */
  onSignal(onStop) {
    let stopping = false;
    const stop = () => {
      if (stopping) process.exit(1); // The second Ctrl-C: at once.
      stopping = true;
      onStop();
    };
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
      process.on(signal, stop);
    }
    onOrphaned(stop);
  }

  /** Whether everything is being stopped. */
  get isRunning() {
    return this.#done !== undefined;
  }

  /** Stops everything; what cannot be stopped is named and does not keep the rest. */
  run() {
    this.#done ??= this.#stopAll();
    return this.#done;
  }

  async #stopAll() {
    const timer = setTimeout(() => {
      console.error('Stopping takes too long: leaving the rest to the operating system.');
      process.exit(1);
    }, STOP_TIMEOUT_MS);
    for (let task = this.#tasks.pop(); task !== undefined; task = this.#tasks.pop()) {
      try {
        await task();
      } catch (error) {
        console.error(error);
      }
    }
    clearTimeout(timer);
  }
}
