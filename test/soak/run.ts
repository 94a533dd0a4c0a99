// `npm run soak [-- R-08 R-14]`: the goals that take minutes. One line for each, and its figure in RELIABILITY.md.

import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, type } from 'node:os';
import path from 'node:path';
import { describeError } from '../../src/base/errors.ts';
import { formatFigures, mergeRows, parseReport, type FigureRow } from './figures.ts';
import type { Goal, GoalOutcome } from './goal.ts';

const reportFile = path.join(import.meta.dirname, '../bench/RELIABILITY.md');

// A goal whose time was up may have left something open.
process.exit(await soak(process.argv.slice(2)));

async function soak(chosen: readonly string[]): Promise<number> {
  const goals = await findGoals();
  const unknown = chosen.filter((id) => !goals.some((goal) => goal.id === id));
  if (unknown.length > 0) {
    console.error(
      `No such goal: ${unknown.join(', ')}. There are: ${goals.map(({ id }) => id).join(' ')}`,
    );
    return 2;
  }
  const rows: FigureRow[] = [];
  let failed = 0;
  for (const goal of goals.filter(({ id }) => chosen.length === 0 || chosen.includes(id))) {
    const startedAt = performance.now();
    const { ok, figure } = await runGoal(goal);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
    console.log(`${goal.id} ${ok ? 'ok    ' : 'FAILED'} ${figure} (${seconds} s)`);
    if (!ok) failed++;
    rows.push({
      goal: goal.id,
      tier: 'N',
      figure: `${ok ? '' : 'FAILED: '}${figure} (${seconds} s)`,
      how: `${goal.how}: \`npm run soak -- ${goal.id}\``,
    });
    // After each, so that a run that is broken off has not been for nothing.
    writeFileSync(reportFile, formatFigures(describeMachine(), mergeRows(readReport(), rows)));
  }
  return failed === 0 ? 0 : 1;
}

async function findGoals(): Promise<Goal[]> {
  const folder = path.join(import.meta.dirname, 'goals');
  const modules = await Promise.all(
    globSync('*.ts', { cwd: folder }).map(
      (file) => import(path.join(folder, file)) as Promise<{ readonly goal: Goal }>,
    ),
  );
  return modules.map(({ goal }) => goal).sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function runGoal(goal: Goal): Promise<GoalOutcome> {
  const limit = AbortSignal.timeout(goal.limitMinutes * 60_000);
  const seed = Number(process.env.SOAK_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const tooLong = new Promise<never>((_, reject) => {
    limit.addEventListener('abort', () =>
      reject(new Error(`it had not ended after ${goal.limitMinutes} minutes`)),
    );
  });
  try {
    const run = goal.run({
      signal: limit,
      seed,
      onProgress: (text) => console.log(`${goal.id} …     ${text}`),
    });
    return await Promise.race([run, tooLong]);
  } catch (error) {
    console.error(error);
    return { ok: false, figure: `${describeError(error).split('\n')[0]} (SOAK_SEED=${seed})` };
  }
}

function readReport(): FigureRow[] {
  try {
    return parseReport(readFileSync(reportFile, 'utf8'));
  } catch {
    return []; // The first run.
  }
}

function describeMachine(): string {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const system = /^PRETTY_NAME="(.*)"$/m.exec(release)?.[1] ?? type();
  // ssh tells its version on stderr.
  const ssh = execFileSync('sh', ['-c', 'ssh -V 2>&1']).toString().split(/[ ,]/)[0];
  return `${availableParallelism()} cores, ${system}, ${ssh}, Node ${process.version}`;
}
