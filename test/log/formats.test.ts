import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Assembler } from '../../src/log/assemble.ts';
import {
  findRunId,
  formats,
  parseLine,
  remainingFields,
  startsPattern,
} from '../../src/log/detect.ts';
import type { LogEntry } from '../../src/log/logEntry.ts';
import { formatIso } from '../../src/base/time.ts';

/** Any UTF-16 text, lone surrogates and controls included. */
const anyText = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 12 })
  .map((codes) => String.fromCharCode(...codes));

/** Samples are written as on a node one hour ahead of UTC. */
const zone = 60;

function assemble(lines: readonly string[]): LogEntry[] {
  const assembler = new Assembler({ node: 'n', source: '/f', zone, clock: undefined });
  const entries = lines.map((text, index) => assembler.push({ text, line: index + 1 }));
  return [...entries, assembler.flush()].filter((entry) => entry !== undefined);
}

for (const format of formats) {
  for (const [index, sample] of format.samples.entries()) {
    test(`${format.name}, sample ${index + 1}: ${sample.message || '(no message)'}`, () => {
      const [entry, ...more] = assemble(sample.raw.split('\n'));
      assert.ok(entry !== undefined);
      assert.deepEqual(more, []);
      assert.equal(entry.format, format.name);
      assert.equal(entry.nodeTime && formatIso(entry.nodeTime), sample.time);
      assert.equal(entry.level, sample.level);
      assert.equal(entry.contextId, sample.contextId);
      assert.equal(entry.message, sample.message);
      assert.equal(entry.raw, sample.raw);
      for (const [name, value] of Object.entries(sample.fields ?? {})) {
        assert.deepEqual(entry.fields[name], value, name);
      }
    });
  }

  test(`${format.name}: nodes recognise first lines, and no continuation line, by the same rule`, () => {
    for (const sample of format.samples) {
      const [first, ...rest] = sample.raw.split('\n');
      if (sample.time !== undefined || format.fields === 'json') {
        assert.match(first!, new RegExp(format.starts));
      }
      for (const line of rest) assert.doesNotMatch(line, new RegExp(startsPattern), line);
    }
  });

  test(`${format.name}: its pattern for nodes has no intervals, which mawk would read as text`, () => {
    assert.doesNotMatch(format.starts, /\{\d/);
  });
}

test('files that mix formats are read line by line', () => {
  const lines = formats.flatMap((format) => format.samples[0]!.raw.split('\n'));
  assert.deepEqual(
    assemble(lines).map((entry) => entry.format),
    formats.map((format) => format.name),
  );
});

const unknown: readonly (readonly [
  what: string,
  lines: readonly string[],
  entries: readonly string[],
])[] = [
  ['plain lines stay apart', ['one', 'two'], ['one', 'two']],
  ['indented lines stay with theirs', ['one', '  a', '\tb', 'two'], ['one\n  a\n\tb', 'two']],
  ['empty lines say nothing', ['', 'one', '', '', 'two', ''], ['one', 'two']],
  [
    'a traceback without an entry is one',
    ['up', 'Traceback (most recent call last):', '  File "x.py", line 1', 'KeyError: 1', 'down'],
    ['up\nTraceback (most recent call last):\n  File "x.py", line 1\nKeyError: 1', 'down'],
  ],
  [
    'chained tracebacks are one',
    [
      'Traceback (most recent call last):',
      '  File "x.py", line 1',
      'KeyError: 1',
      '',
      'During handling of the above exception, another exception occurred:',
      '',
      'Traceback (most recent call last):',
      '  File "x.py", line 3',
      'ValueError: 2',
      'down',
    ],
    [
      'Traceback (most recent call last):\n  File "x.py", line 1\nKeyError: 1\n\n' +
        'During handling of the above exception, another exception occurred:\n\n' +
        'Traceback (most recent call last):\n  File "x.py", line 3\nValueError: 2',
      'down',
    ],
  ],
  [
    'Java causes stay',
    ['java.lang.Error: x', '\tat a.b(C.java:1)', 'Caused by: y', '\t... 2 more', 'z'],
    ['java.lang.Error: x\n\tat a.b(C.java:1)\nCaused by: y\n\t... 2 more', 'z'],
  ],
  ['broken JSON is text', ['{"a":1', '{"a":1}'], ['{"a":1', '{"a":1}']],
  ['an equals sign makes no logfmt', ['a=1 is too little', 'x=1'], ['a=1 is too little', 'x=1']],
];

for (const [what, lines, expected] of unknown) {
  test(`text: ${what}`, () => {
    assert.deepEqual(
      assemble(lines).map((entry) => entry.raw),
      expected,
    );
  });
}

test('a traceback belongs to the error above it, and not to an entry that tells of none', () => {
  const traceback = ['Traceback (most recent call last):', '  File "x.py", line 1', 'KeyError: 1'];
  const error = assemble(['{"level":50,"msg":"a"}', ...traceback, '{"level":30,"msg":"b"}']);
  assert.deepEqual(
    error.map((entry) => entry.raw.split('\n').length),
    [4, 1],
  );
  const info = assemble(['{"level":30,"msg":"a"}', ...traceback, '{"level":30,"msg":"b"}']);
  assert.deepEqual(
    info.map((entry) => [entry.format, entry.raw.split('\n').length]),
    [
      ['json', 1],
      ['text', 3],
      ['json', 1],
    ],
  );
});

const runs: readonly (readonly [string, string | undefined])[] = [
  ['settle failed run=r-20261122T061754-3fa9c1d2', 'r-20261122T061754-3fa9c1d2'],
  ['{"msg":"x","run_id":"r-20261122T061754-3fa9c1d2"}', 'r-20261122T061754-3fa9c1d2'],
  ['{"msg":"x","runId" : "r-20261122T061754-3fa9c1d2"}', 'r-20261122T061754-3fa9c1d2'],
  ['prune=r-20261122T061754-3fa9c1d2', undefined],
  ['run=r-20261122T061754-3fa9c1d2f', undefined],
  ['run=r-1', undefined],
];

test('a run id is found in fields and in text', () => {
  for (const [raw, expected] of runs) assert.equal(findRunId(raw), expected, raw);
});

test('the remaining fields are those with no column of their own', () => {
  const fields = parseLine(
    '{"level":30,"msg":"m","log":{"level":"x"},"a":1,"reqId":"r"}',
    0,
  )!.fields;
  assert.deepEqual(remainingFields('json', fields), { log: { level: 'x' }, a: 1 });
  assert.deepEqual(remainingFields('text', { a: 1 }), { a: 1 });
});

test('hostile lines neither throw nor slow down', { timeout: 3000 }, () => {
  const size = 1 << 18;
  const lines = [
    'x'.repeat(size),
    ' '.repeat(size),
    '{'.repeat(size),
    '['.repeat(size),
    `{"a":${'['.repeat(100_000)}}`,
    `{"a":"${'\\"'.repeat(size / 2)}"}`,
    `a="${'x'.repeat(size)}" b="${'\\"'.repeat(size)}"`,
    `a="${'x'.repeat(size)}`,
    'a=b '.repeat(size / 4),
    `a=${'='.repeat(size)}`,
    `2026-11-22 06:17:54,123 - a - 1 - INFO - ${'- '.repeat(size / 2)}`,
    `2026-11-22 06:17:54,${'1'.repeat(size)}`,
    `run=${'r-'.repeat(size / 2)}`,
    '\u0000\u001b[2J\u202e‮\u009b31m',
    '{"__proto__":{"polluted":true},"msg":"x"}',
    '__proto__=1 constructor=2 level=error',
    '9999-99-99 99:99:99,999 - a - 1 - NOPE - - x',
  ];
  for (const line of lines) {
    const [entry] = assemble([line]);
    assert.equal(entry?.raw, line);
  }
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('no line makes parsing throw, and raw text is always kept', () => {
  const line = fc.oneof(
    anyText,
    fc.json(),
    fc.record({ level: fc.anything(), time: fc.anything(), msg: fc.anything() }).map((value) => {
      try {
        return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? 1 : part));
      } catch {
        return '{}';
      }
    }),
    fc
      .array(fc.tuple(fc.string(), fc.string()))
      .map((pairs) => pairs.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(' ')),
  );
  fc.assert(
    fc.property(fc.array(line.map((text) => text.replaceAll('\n', ' '))), (lines) => {
      const rejoined = assemble(lines).flatMap((entry) => entry.raw.split('\n'));
      const isKept = (text: string): boolean => text !== '';
      assert.deepEqual(rejoined.filter(isKept), lines.filter(isKept));
    }),
    { numRuns: 100 },
  );
});
