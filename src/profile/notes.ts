// Sentences that go into a profile's notes.

/**
 * One sentence about `count` things that were skipped, or nothing for none. `what` is in the
 * singular; an "of …" after its first word is kept in place.
 */
export function skippedNote(count: number, what: string): readonly string[] {
  if (count === 0) return [];
  return count === 1
    ? [`1 ${what} made no sense and was skipped.`]
    : [`${count} ${what.replace(/^\w+/, '$&s')} made no sense and were skipped.`];
}
