// Differences from a baseline as files that CI shows: SARIF 2.1.0 and JUnit XML.

import { createHash } from 'node:crypto';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { showText } from '../env/canonical.ts';
import type { EnvComparison } from '../env/diff.ts';
import type { EnvDifference } from '../env/difference.ts';
import type { Severity } from '../env/severity.ts';

/** One node against the baseline, or why there is nothing to compare. */
export type NodeDrift =
  { readonly node: string; readonly missing: string } | ({ readonly node: string } & EnvComparison);

// --- SARIF: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html ----------------------------------

const sarifSchema =
  'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';

const levels: Readonly<Record<Severity, string>> = {
  high: 'error',
  medium: 'warning',
  low: 'note',
  info: 'none',
};

export function sarifReport(baselineFile: string, drifts: readonly NodeDrift[]): string {
  const found = drifts.flatMap((drift) =>
    'missing' in drift
      ? []
      : drift.differences.map((difference) => ({ node: drift.node, difference })),
  );
  const ruleIds = [...new Set(found.map(({ difference }) => ruleOf(difference)))].sort();
  const notifications = drifts.flatMap((drift) =>
    'missing' in drift
      ? [notification('error', `${drift.node}: ${drift.missing}`)]
      : drift.uncompared.map(({ path: fact, why }) =>
          notification('warning', `${drift.node}: ${fact} could not be compared: ${why}`),
        ),
  );
  const uri = uriOf(baselineFile);
  const log = {
    $schema: sarifSchema,
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'Faultline',
            rules: ruleIds.map((id) => ({
              id,
              shortDescription: { text: `A node differs from the baseline in ${id}.` },
            })),
          },
        },
        invocations: [
          {
            executionSuccessful: !drifts.some((drift) => 'missing' in drift),
            toolExecutionNotifications: notifications,
          },
        ],
        results: found.map(({ node, difference }) => ({
          ruleId: ruleOf(difference),
          ruleIndex: ruleIds.indexOf(ruleOf(difference)),
          level: levels[difference.severity],
          message: { text: plainText(`${node}: ${describe(difference)}`) },
          locations: [
            {
              // What is checked in is the baseline: CI shows a result beside a file.
              physicalLocation: { artifactLocation: { uri } },
              logicalLocations: [
                {
                  name: node,
                  fullyQualifiedName: `${node}/${showText(difference.path)}`,
                  kind: 'resource',
                },
              ],
            },
          ],
          // The same difference of the same node is the same result in the next run.
          partialFingerprints: { 'nodeAndFact/v1': fingerprint(node, difference.path) },
        })),
      },
    ],
  };
  return `${JSON.stringify(log, undefined, 2)}\n`;
}

function notification(level: 'error' | 'warning', text: string): object {
  return { level, message: { text: plainText(showText(text)) } };
}

/** What kind of fact: `packages`, `env`, `limits` … */
function ruleOf({ path: fact }: EnvDifference): string {
  return fact.split('.', 1)[0] ?? fact;
}

function fingerprint(node: string, fact: string): string {
  return createHash('sha256').update(`${node}\0${fact}`, 'utf8').digest('hex').slice(0, 32);
}

/** A relative file stays relative, as the root of a checkout is somewhere else for everybody. */
function uriOf(file: string): string {
  if (path.isAbsolute(file)) return pathToFileURL(file).href;
  return path.normalize(file).split(path.sep).map(encodeURIComponent).join('/');
}

function describe({ path: fact, a, b, note }: EnvDifference): string {
  const show = (value: string | null): string => (value === null ? 'not there' : showText(value));
  return `${showText(fact)} is ${show(b)}, not ${show(a)}${note === null ? '' : ` (${showText(note)})`}`;
}

// --- JUnit: the form that Jenkins, GitLab and GitHub's reporters read --------------------------------------------

/** A suite a node, a case a fact; a node without differences is one case that passed. */
export function junitReport(baselineFile: string, drifts: readonly NodeDrift[]): string {
  const suites = drifts.map((drift) => ({ name: drift.node, cases: casesOf(drift, baselineFile) }));
  const all = suites.flatMap(({ cases }) => cases);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="faultline env check" ${countsOf(all)}>`,
    ...suites.flatMap(({ name, cases }) => [
      `  <testsuite name="${escape(name)}" ${countsOf(cases)}>`,
      ...cases.map(
        ({ fact, kind, message }) =>
          `    <testcase classname="${escape(name)}" name="${escape(fact)}"` +
          (kind === 'passed'
            ? '/>'
            : `><${kind} message="${escape(message)}"${kind === 'skipped' ? '' : ' type="drift"'}/></testcase>`),
      ),
      '  </testsuite>',
    ]),
    '</testsuites>',
    '',
  ].join('\n');
}

interface TestCase {
  readonly fact: string;
  readonly kind: 'passed' | 'failure' | 'error' | 'skipped';
  readonly message: string;
}

function casesOf(drift: NodeDrift, baselineFile: string): readonly TestCase[] {
  if ('missing' in drift) return [{ fact: 'answers', kind: 'error', message: drift.missing }];
  const { differences, uncompared } = drift;
  return [
    ...differences.map((difference): TestCase => ({
      fact: difference.path,
      kind: 'failure',
      message: `${difference.severity}: ${describe(difference)}`,
    })),
    ...uncompared.map(({ path: fact, why }): TestCase => ({
      fact,
      kind: 'skipped',
      message: `could not be compared: ${why}`,
    })),
    ...(differences.length === 0
      ? [{ fact: `is as in ${baselineFile}`, kind: 'passed', message: '' } as const]
      : []),
  ];
}

function countsOf(cases: readonly TestCase[]): string {
  const count = (kind: TestCase['kind']): number =>
    cases.filter((each) => each.kind === kind).length;
  return (
    `tests="${cases.length}" failures="${count('failure')}" ` +
    `errors="${count('error')}" skipped="${count('skipped')}"`
  );
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\t': '&#9;',
};

/** SARIF 2.1.0 §3.11.5 and §3.11.6: brackets would be a link, braces a placeholder. */
function plainText(text: string): string {
  return text.replace(/[\\[\]]/g, '\\$&').replace(/[{}]/g, '$&$&');
}

/** For an attribute. What XML 1.0 has no character for is not in it: controls are shown, the rest is replaced. */
function escape(text: string): string {
  return showText(text)
    .replace(/[\ud800-\udfff\ufffe\uffff]/gu, '\ufffd')
    .replace(/[&<>"\t]/g, (char) => entities[char] ?? char);
}
