// What no error handler caught while a goal ran. Without listeners the process would end.

export interface CrashCounter extends Disposable {
  readonly crashes: readonly unknown[];
}

export function countCrashes(): CrashCounter {
  const crashes: unknown[] = [];
  const listener = (error: unknown): void => void crashes.push(error);
  process.on('uncaughtException', listener);
  process.on('unhandledRejection', listener);
  return {
    crashes,
    [Symbol.dispose]: () => {
      process.off('uncaughtException', listener);
      process.off('unhandledRejection', listener);
    },
  };
}
