// `npm run bench`: measures against peers on the same machine and writes RESULTS.md beside this file.

import { globSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from '../tools/build.mjs';
import { inProject } from '../tools/project.mjs';
import { benchLogSearch } from './logSearch.ts';
import { formatReport, type BenchReport } from './measure.ts';

const benches: readonly ((onProgress: (text: string) => void) => Promise<BenchReport>)[] = [
  benchLogSearch,
];

const head = `# Measured against peers

Written by \`npm run bench\`. Compare the rows of one table: seconds say more about the machine and what else it
did than about the programs. The last column is the row's median over the peer's: below 1 is faster.
`;

if (isBuildOutdated()) console.log(await build({ production: true }));
const sections: string[] = [];
for (const bench of benches) {
  const report = formatReport(await bench((text) => console.log(`… ${text}`)));
  console.log(`\n${report}`);
  sections.push(report);
}
writeFileSync(path.join(import.meta.dirname, 'RESULTS.md'), `${[head, ...sections].join('\n')}`);

/** What is measured is the sources as they are. */
function isBuildOutdated(): boolean {
  const changedAt = (file: string): number =>
    statSync(inProject(file), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const builtAt = changedAt('dist/cli.js');
  return globSync('src/**/*', { cwd: inProject() }).some((file) => changedAt(file) > builtAt);
}
