// Waiting for something that happens soon, by itself: polls instead of sleeping a guessed time.

/** Resolves when `check` no longer throws; after `timeoutMs` rejects with its last error. */
export async function eventually(check: () => unknown, timeoutMs = 3000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
