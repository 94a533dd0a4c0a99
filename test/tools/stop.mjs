/** A reason to stop that the user can act on: one sentence with the next step, shown without a stack. */
export class Stop extends Error {}

/**
 * The one place where a tool's failure is shown.
 *
 * @param {unknown} error
 * @returns {never}
 */
export function exitWith(error) {
  console.error(error instanceof Stop ? error.message : error);
  process.exit(1);
}
