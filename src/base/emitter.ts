// Events of the same shape as `vscode.Event`, for the core that does not know VS Code.

import { toDisposable, type Disposable } from './disposable.ts';

export type Event<T> = (listener: (value: T) => void) => Disposable;

/** An event that happens once: who listens when it has happened is called at once. */
export class OnceEmitter<T> {
  private readonly emitter = new Emitter<T>();
  private fired: { readonly value: T } | undefined;

  readonly event: Event<T> = (listener) => {
    if (this.fired === undefined) return this.emitter.event(listener);
    listener(this.fired.value);
    return toDisposable(() => undefined);
  };

  /** The first call counts. */
  fire(value: T): void {
    if (this.fired !== undefined) return;
    this.fired = { value };
    this.emitter.fire(value);
    this.emitter.dispose();
  }
}

export class Emitter<T> implements Disposable {
  private readonly listeners = new Set<(value: T) => void>();

  readonly event: Event<T> = (listener) => {
    this.listeners.add(listener);
    return toDisposable(() => this.listeners.delete(listener));
  };

  /** Calls every listener, also when one throws; the first error is thrown afterwards. */
  fire(value: T): void {
    let firstError: unknown;
    for (const listener of [...this.listeners]) {
      try {
        listener(value);
      } catch (error) {
        firstError ??= error;
      }
    }
    if (firstError !== undefined) throw firstError;
  }

  dispose(): void {
    this.listeners.clear();
  }
}
