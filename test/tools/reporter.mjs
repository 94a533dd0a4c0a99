/**
 * Reporter for node:test: shows failures whole and, with FAULTLINE_TEST_LINES=all, one line a test;
 * writes the counts as JSON to the file FAULTLINE_TEST_COUNTS for the tool that started the run.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import { root } from './project.mjs';

/**
 * @typedef {object} TestCounts
 * @property {number} passed
 * @property {number} failed
 * @property {string[]} skipped "name: reason" of each
 */

/** @typedef {import('node:test/reporters').TestEvent} TestEvent */
/** @typedef {Extract<TestEvent, { type: 'test:fail' }>['data']} FailedTest */

/** @param {AsyncIterable<TestEvent>} events */
export default async function* report(events) {
  /** @type {TestCounts} */
  const counts = { passed: 0, failed: 0, skipped: [] };
  const showsAll = process.env['FAULTLINE_TEST_LINES'] === 'all';
  for await (const event of events) {
    if (event.type === 'test:pass' && isOneTest(event.data)) {
      const { name, skip, details } = event.data;
      if (skip !== undefined) {
        counts.skipped.push(typeof skip === 'string' ? `${name}: ${skip}` : name);
      } else {
        counts.passed++;
        if (showsAll) yield `  ✓ ${name} (${details.duration_ms.toFixed(0)} ms)\n`;
      }
    } else if (event.type === 'test:fail' && !failedByItsParts(event.data)) {
      counts.failed++;
      yield describeFailure(event.data);
    } else if (event.type === 'test:stderr' || event.type === 'test:stdout') {
      yield event.data.message;
    }
  }
  const file = process.env['FAULTLINE_TEST_COUNTS'];
  if (file !== undefined) writeFileSync(file, JSON.stringify(counts));
}

/** @param {{ details: { type?: string } }} data */
const isOneTest = ({ details }) => details.type !== 'suite';

/**
 * A suite, or a file, fails with the first of its tests; that test alone is counted.
 *
 * @param {FailedTest} data
 */
const failedByItsParts = ({ details: { error } }) =>
  'failureType' in error && error.failureType === 'subtestsFailed';

/** @param {FailedTest} data */
function describeFailure({ name, file, line, details }) {
  const where = file === undefined ? '' : ` (${path.relative(root, file)}:${line})`;
  const { error } = details;
  const cause = error.cause ?? error;
  const text = cause instanceof Error ? (cause.stack ?? cause.message) : inspect(cause);
  return `  ✗ ${name}${where}\n${text.replace(/^/gm, '      ')}\n`;
}
