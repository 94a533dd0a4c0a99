/**
 * `npm run pictures`: takes the README's pictures from the screenshots of the last end-to-end test.
 */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { inProject, outDir } from './project.mjs';

const names = ['nodes-report', 'preflight', 'environment', 'logs', 'debug', 'flame'];
const from = path.join(outDir, 'screenshots', 'dark');
const to = inProject('media', 'screenshots');

mkdirSync(to, { recursive: true });
for (const name of names) {
  const file = path.join(from, `${name}.png`);
  if (!existsSync(file)) {
    console.error(`There is no ${file}: run npm test first.`);
    process.exitCode = 1;
  } else {
    copyFileSync(file, path.join(to, `${name}.png`));
  }
}
