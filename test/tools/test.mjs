/**
 * `npm test`: everything, from a fresh clone. Ends with "N passed, N failed" alone on a line and
 * fails when anything failed. Test names and failures are above; screenshots in test/out.
 *
 * This file runs on any Node from 20 on and before anything is installed; testAll.mjs does the work.
 */
import { prepare } from './prepare.mjs';
import { exitWith } from './stop.mjs';

try {
  await prepare();
  const { testAll } = await import('./testAll.mjs');
  process.exitCode = await testAll();
} catch (error) {
  exitWith(error);
}
