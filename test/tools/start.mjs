/**
 * `npm start`: from a fresh clone to a VS Code with the extension and a demo fleet of real nodes.
 * `--no-open` prints the address and opens nothing, `--port N` chooses the address.
 *
 * This file runs on any Node from 20 on and before anything is installed; demo.mjs does the work.
 */
import { prepare } from './prepare.mjs';
import { exitWith } from './stop.mjs';

try {
  await prepare();
  const { startDemo } = await import('./demo.mjs');
  await startDemo(process.argv.slice(2));
} catch (error) {
  exitWith(error);
}
