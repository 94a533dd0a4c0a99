// `npm run bench [-- NAME…]`: measures against peers on the same machine and writes RESULTS.md beside this file.

import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from '../tools/build.mjs';
import { inProject } from '../tools/project.mjs';
import { benchColdConnect, benchFanOut, benchWarmExec } from './connections.ts';
import { benchLogSearch } from './logSearch.ts';
import { benchMatrix } from './matrix.ts';
import { formatReport, type BenchReport } from './measure.ts';

const benches: Readonly<
  Record<string, (onProgress: (text: string) => void) => Promise<BenchReport>>
> = {
  search: benchLogSearch,
  connect: benchColdConnect,
  exec: benchWarmExec,
  fanOut: benchFanOut,
  matrix: benchMatrix,
};

const head = `# Measured against peers

Written by \`npm run bench\`. Compare the rows of one table: seconds say more about the machine and what else it
did than about the programs. The last column is the row's median over the peer's: below 1 is faster.
`;

if (isBuildOutdated()) console.log(await build({ production: true }));
const results = path.join(import.meta.dirname, 'RESULTS.md');
const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !Object.hasOwn(benches, name));
if (unknown !== undefined) {
  throw new Error(`There is no bench "${unknown}"; there are ${Object.keys(benches).join(', ')}.`);
}
const sections = new Map(readSections());
for (const [name, bench] of Object.entries(benches)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const report = await bench((text) => console.log(`… ${text}`));
  const text = formatReport(report);
  console.log(`\n${text}`);
  sections.set(report.title, text);
  // After each, so that a bench that fails takes nothing with it.
  writeFileSync(results, [head, ...sections.values()].join('\n'));
}

/** What was measured before and is not measured now stays. */
function readSections(): [string, string][] {
  const text = readFileSync(results, 'utf8');
  return text
    .split(/^(?=## )/m)
    .slice(1)
    .map((section) => [/^## (.*)/.exec(section)![1]!, `${section.trimEnd()}\n`]);
}

/** What is measured is the sources as they are. */
function isBuildOutdated(): boolean {
  const changedAt = (file: string): number =>
    statSync(inProject(file), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const builtAt = changedAt('dist/cli.js');
  return globSync('src/**/*', { cwd: inProject() }).some((file) => changedAt(file) > builtAt);
}
