// The suite that runs inside VS Code's extension host: a desktop VS Code or code-server, the same either way.
//
// node:test starts processes of its own, which an extension host is not made for; so this is the smallest runner that
// counts. `*.test.ts` beside this file call `test()`; test/tools/inHost.mjs bundles them all with `run`.

import { writeFileSync } from 'node:fs';

interface InHostTest {
  readonly name: string;
  readonly body: () => void | Promise<void>;
}

/** A test that takes longer waits for something that will not come. */
const TEST_TIMEOUT_MS = 60_000;

const tests: InHostTest[] = [];

/** Declares a test. Tests run in the order of their declaration, one after the other. */
export function test(name: string, body: () => void | Promise<void>): void {
  tests.push({ name, body });
}

/** Lines for the one who reads the run; an extension host's console mixes with the editor's own. */
const report: string[] = [];

/** Adds a line to the report, below the test that is running. */
export function note(line: string): void {
  report.push(`    ${line}`);
}

/** What VS Code calls. Rejects when a test failed, which makes VS Code exit with a failure. */
export async function run(): Promise<void> {
  let passed = 0;
  let failed = 0;
  for (const { name, body } of tests) {
    const startedAt = performance.now();
    try {
      await withinTime(body());
      passed++;
      report.push(`  ✓ ${name} (${(performance.now() - startedAt).toFixed(0)} ms)`);
    } catch (error) {
      failed++;
      report.push(`  ✗ ${name}`, String(error instanceof Error ? error.stack : error));
    }
  }
  const resultFile = process.env['FAULTLINE_IN_HOST_RESULT'];
  if (resultFile !== undefined) {
    writeFileSync(resultFile, JSON.stringify({ passed, failed, skipped: [], report }));
  }
  if (failed > 0) throw new Error(`${failed} of ${passed + failed} tests failed`);
}

async function withinTime(work: void | Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`It took longer than ${TEST_TIMEOUT_MS / 1000} s.`));
    }, TEST_TIMEOUT_MS);
  });
  try {
    await Promise.race([work, timeUp]);
  } finally {
    clearTimeout(timer);
  }
}
