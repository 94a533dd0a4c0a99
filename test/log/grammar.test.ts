// The log grammar's rules against what documents really hold. VS Code's engine is Oniguruma; the rules keep
// to what JavaScript's regular expressions mean alike. (`\G` stands behind the four blanks that begin a line.)

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Assembler } from '../../src/log/assemble.ts';
import { formats } from '../../src/log/detect.ts';
import { orderUnknownMark } from '../../src/log/entryText.ts';
import type { LogEntry } from '../../src/log/logEntry.ts';
import { entryRenderer } from '../../src/log/render.ts';

interface Rule {
  readonly name?: string;
  readonly match?: string;
  readonly begin?: string;
  readonly end?: string;
  readonly include?: string;
  readonly captures?: Readonly<Record<string, { readonly name: string }>>;
  readonly beginCaptures?: Readonly<Record<string, { readonly name: string }>>;
  readonly patterns?: readonly Rule[];
}

const grammar = JSON.parse(
  readFileSync(
    path.join(import.meta.dirname, '../../syntaxes/faultline-log.tmLanguage.json'),
    'utf8',
  ),
) as { readonly patterns: readonly Rule[]; readonly repository: Readonly<Record<string, Rule>> };

const compile = (pattern: string): RegExp => new RegExp(pattern.replaceAll('\\G', '^ {4}'), 'd');

/** `time=06:17 level.error=ERROR …`: the first words of a scope, and the text it was given. */
function captured(rule: Rule, line: string): Readonly<Record<string, string>> {
  const names = rule.beginCaptures ?? rule.captures ?? {};
  const match = compile(rule.begin ?? rule.match ?? '').exec(line);
  assert.ok(match !== null, line);
  return Object.fromEntries(
    Object.entries(names)
      .filter(
        ([group, { name }]) =>
          match[Number(group)] !== undefined && !name.startsWith('punctuation'),
      )
      .map(([group, { name }]) => [name.split('.faultline-log')[0]!, match[Number(group)]!]),
  );
}

function read(raw: string): LogEntry {
  const assembler = new Assembler({
    node: 'work-2',
    source: '/l/w.log',
    zone: 60,
    clock: undefined,
  });
  for (const text of raw.split('\n')) assembler.push({ text });
  return assembler.flush()!;
}

test('every rule compiles, and names only rules that exist', () => {
  const visit = (rule: Rule): void => {
    for (const pattern of [rule.match, rule.begin, rule.end]) {
      if (pattern !== undefined) compile(pattern);
    }
    if (rule.include !== undefined)
      assert.ok(rule.include.slice(1) in grammar.repository, rule.include);
    rule.patterns?.forEach(visit);
  };
  grammar.patterns.forEach(visit);
  Object.values(grammar.repository).forEach(visit);
});

test('the parts of an entry have their names', () => {
  const render = entryRenderer({ colorize: false });
  const [line] = render(
    read('{"level":50,"time":1795328274123,"name":"gate","pid":7,"reqId":"req-1","msg":"no"}'),
    orderUnknownMark,
  );
  assert.deepEqual(captured(grammar.repository['entry']!, line!), {
    'constant.numeric.time': '2026-11-22 06:17:54.123Z',
    'keyword.operator.mark': '≈',
    'keyword.other.level.error': 'ERROR',
    'support.class.writer': 'gate',
    'constant.numeric.pid': '7',
    'keyword.other.on': 'on',
    'entity.name.type.node': 'work-2',
    'variable.parameter.context-id': 'req-1',
  });
});

test('every sample of every format begins an entry, and what is below it does not', () => {
  const render = entryRenderer({ colorize: false });
  const entry = compile(grammar.repository['entry']!.begin!);
  for (const sample of formats.flatMap((format) => format.samples)) {
    const [first, ...below] = render(read(sample.raw));
    const parts = captured(grammar.repository['entry']!, first!);
    assert.equal(parts['entity.name.type.node'], 'work-2');
    assert.equal(parts['variable.parameter.context-id'], sample.contextId);
    for (const line of below) assert.doesNotMatch(line, entry);
  }
});

test('traces have their names', () => {
  const rules = grammar.repository['below']!.patterns!;
  assert.deepEqual(captured(rules[1]!, '      File "/srv/x.py", line 7, in settle'), {
    'keyword.other.file': 'File',
    'string.quoted.double.path': '"/srv/x.py"',
    'keyword.other.line': 'line',
    'constant.numeric.line': '7',
    'keyword.other.in': 'in',
    'entity.name.function': 'settle',
  });
  assert.deepEqual(captured(rules[2]!, '        at async f (/srv/x.js:10:5)'), {
    'keyword.other.at': 'at',
    'keyword.other.async': 'async',
    'entity.name.function': 'f',
    'string.unquoted.path': '/srv/x.js',
    'constant.numeric.line': '10',
    'constant.numeric.column': '5',
  });
  assert.deepEqual(captured(rules[3]!, "    shop.errors.PriceError: no 'tax'"), {
    'entity.name.exception': 'shop.errors.PriceError',
  });
});

test('no line takes long', { timeout: 2000 }, () => {
  const patterns = [...grammar.patterns, ...Object.values(grammar.repository)]
    .flatMap((rule) => [rule, ...(rule.patterns ?? [])])
    .flatMap((rule) => [rule.match, rule.begin])
    .filter((pattern) => pattern !== undefined);
  for (const part of ['"', '"\\', '(', 'at ', 'a.', 'A', '0', '[2026', '    ', 'req-']) {
    // VS Code colours no line that is longer.
    const line = part.repeat(20_000 / part.length);
    for (const pattern of patterns) compile(pattern).test(line);
  }
});
