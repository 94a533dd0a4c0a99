/**
 * Runs tasks in their order, at most `limit` at a time.
 *
 * @template T
 * @param {readonly (() => Promise<T>)[]} tasks
 * @param {number} limit
 * @returns {Promise<T[]>} as the tasks ended
 */
export async function inParallel(tasks, limit) {
  const waiting = [...tasks];
  /** @type {T[]} */
  const results = [];
  const worker = async () => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      results.push(await task());
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  return results;
}
