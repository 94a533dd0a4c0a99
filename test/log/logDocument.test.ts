import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Assembler } from '../../src/log/assemble.ts';
import { rowAt } from '../../src/log/documentRows.ts';
import { renderDocument } from '../../src/log/logDocument.ts';
import { toJson, type LogEntry } from '../../src/log/logEntry.ts';
import { mergeEntries } from '../../src/log/merge.ts';
import { entryRenderer } from '../../src/log/render.ts';
import type { SearchResult } from '../../src/log/search.ts';

/** Any UTF-16 text, lone surrogates and controls included. */
const anyText = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 12 })
  .map((codes) => String.fromCharCode(...codes));

function read(raw: string, node = 'work-2', errorMs = 0.2): LogEntry {
  const clock = { offsetMs: 0, errorMs, measuredAt: 0 };
  const assembler = new Assembler({ node, source: '/srv/shop/log/worker.log', zone: 0, clock });
  for (const text of raw.split('\n')) assembler.push({ text });
  return assembler.flush()!;
}

function resultOf(...files: (readonly LogEntry[])[]): SearchResult {
  return {
    query: { contextId: 'req-1' },
    entries: mergeEntries(files),
    asked: ['gate-1', 'work-2', 'work-3'],
    missing: [
      {
        node: 'work-3',
        failure: {
          code: 'node.refused',
          message: 'work-3 refused\u001b[2J it.',
          hint: 'Start sshd.',
        },
      },
    ],
    clocks: [{ node: 'work-2', clock: { offsetMs: -3500.04, errorMs: 0.2, measuredAt: 0 } }],
    warnings: [{ node: 'gate-1', message: 'No file matches /x.' }],
    truncated: ['gate-1'],
  };
}

const failing =
  '2026-11-22 06:17:54,125 - shop.worker - 51 - ERROR - req-1 - settle failed\n' +
  'Traceback (most recent call last):\n  File "/srv/shop/settle.py", line 7, in settle\nKeyError: \'tax\'';

test('a document tells what was asked and who answered, then the entries', () => {
  const document = renderDocument(
    resultOf(
      [
        read(
          '{"level":30,"time":1795328274124.9,"reqId":"req-1","name":"gate","pid":7,"msg":"in","order":{"id":7}}',
          'gate-1',
        ),
      ],
      [read(failing)],
    ),
  );
  assert.equal(
    document.text,
    [
      '# context req-1: 2 entries, 2 of 3 nodes answered.',
      '# Missing: work-3. work-3 refused‹ESC›[2J it. Start sshd.',
      '# Cut: gate-1 has more matching lines than were read. Search for less, or a shorter time.',
      '# Note: No file matches /x.',
      "# Times are in UTC, corrected by the nodes' clock offsets: work-2 -3500.0 ± 0.2 ms.",
      '# ≈ order unknown: closer to an entry of another node than the clocks can tell.',
      '',
      '[2026-11-22 06:17:54.124900Z ≈] INFO  (gate/7 on gate-1): [req-1] in {"order":{"id":7}}',
      '[2026-11-22 06:17:54.125Z ≈] ERROR (shop.worker on work-2): [req-1] settle failed {"lineno":"51"}',
      '    Traceback (most recent call last):',
      '      File "/srv/shop/settle.py", line 7, in settle',
      "    KeyError: 'tax'",
      '',
    ].join('\n'),
  );
  const lines = document.text.split('\n');
  for (const { entry, firstLine, lineCount } of document.rows) {
    assert.ok(lines[firstLine]!.includes(entry.message));
    assert.equal(lineCount, entry.raw.split('\n').length);
  }
  assert.deepEqual(
    [0, 5, 6, 7, 8, 9, 11, 12, 99].map((line) => rowAt(document, line)?.entry.node),
    [undefined, undefined, undefined, 'gate-1', 'work-2', 'work-2', 'work-2', undefined, undefined],
  );
});

test('a switch of the zone changes times and no lines, so that what is offered on a line stays there', () => {
  const berlin = { ...read(failing), zone: 60 };
  const timeless = { ...read('no time at all'), zone: 60 };
  const result = { ...resultOf([berlin, timeless]), clocks: [] };
  const [utc, node, local] = (['utc', 'node', 'local'] as const).map((display) =>
    renderDocument(result, display),
  );
  assert.match(utc!.text, /^# Times are in UTC\.$/m);
  assert.match(utc!.text, /^\[2026-11-22 06:17:54\.125Z\] ERROR/m);
  assert.match(utc!.text, /^\[-{24}\]/m);
  assert.match(node!.text, /^# Times are in each node's own zone\.$/m);
  assert.match(node!.text, /^\[2026-11-22 07:17:54\.125\+01:00\] ERROR/m);
  assert.match(node!.text, /^\[-{29}\]/m);
  assert.match(local!.text, /^# Times are in this computer's zone \(.+\)\.$/m);
  assert.match(local!.text, /^\[2026-11-2[123] \d\d:\d\d:54\.125[+-]\d\d:\d\d\] ERROR/m);
  assert.deepEqual(utc!.rows, node!.rows);
  assert.deepEqual(utc!.rows, local!.rows);
});

test('a clock that is off by more than a calendar holds breaks nothing', () => {
  const clock = { offsetMs: -8.64e15, errorMs: 1, measuredAt: 0 };
  const assembler = new Assembler({ node: 'n', source: '/f', zone: 1439, clock });
  assembler.push({ text: failing.split('\n')[0]! });
  const entry = assembler.flush()!;
  for (const display of ['utc', 'local', 'node'] as const) {
    assert.equal(renderDocument(resultOf([entry]), display).rows.length, 1);
  }
  assert.equal(toJson(entry)['node'], 'n');
});

test('every line finds its entry, whatever the entries are', () => {
  const raw = fc.oneof(
    anyText,
    fc.constant(failing),
    fc
      .record({ msg: fc.string(), err: fc.record({ stack: fc.string(), message: fc.string() }) })
      .map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(
      fc.array(
        raw.filter((text) => text.trim() !== ''),
        { maxLength: 6 },
      ),
      (raws) => {
        const document = renderDocument(
          resultOf(raws.map((text) => read(text, 'n')).filter(Boolean)),
        );
        const lines = document.text.trimEnd().split('\n');
        for (const { entry, firstLine, lineCount } of document.rows) {
          for (let line = firstLine; line < firstLine + lineCount; line++) {
            assert.equal(rowAt(document, line)?.entry, entry);
            assert.ok(line === firstLine || line >= lines.length || !lines[line]!.startsWith('['));
          }
        }
        assert.doesNotMatch(
          document.text,
          /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/,
        );
      },
    ),
    { numRuns: 100 },
  );
});

test('hostile values are shown, not obeyed, in plain text and in colour', () => {
  const hostile = read(
    JSON.stringify({
      level: 50,
      msg: 'a\u001b]52;c;eA==\u0007\nsecond\r\u202e',
      '\u001b[31mkey': ['\u009b2J', { deep: '\u0000' }],
      err: {
        type: 'Error',
        message: 'm',
        stack: 'Error: m\n\u001b[2K at x\n[2026-01-01] FATAL: forged',
      },
      __proto__x: 1,
    }),
  );
  for (const colorize of [false, true]) {
    const lines = entryRenderer({ colorize })(hostile);
    const text = lines.join('\n');
    assert.doesNotMatch(
      text.replaceAll(/\u001b\[\d+m/g, ''),
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/,
    );
    assert.match(text, /‹ESC›\]52;c;eA==‹BEL›/);
    assert.equal(lines.filter((line) => /^\S/.test(line)).length, 1, 'what follows is indented');
  }
});

test('long values and long traces are shortened, and say so', () => {
  const long = read(`{"msg":"${'x'.repeat(100_000)}","a":"${'y'.repeat(100_000)}"}`);
  const [line] = entryRenderer({ colorize: false })(long);
  assert.ok(line!.length < 10_000);
  const trace = read(`plain\n${'  at x\n'.repeat(1500)}`);
  const lines = entryRenderer({ colorize: false })(trace);
  assert.equal(lines.length, 502);
  assert.equal(lines.at(-1), '    … 1000 more lines');
});

test('objects nested without end stay text, and can be printed', () => {
  const deep = read(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
  assert.equal(deep.format, 'text');
  assert.ok(JSON.stringify(toJson(deep)).length > 200_000);
  assert.equal(entryRenderer({ colorize: true })(deep).length, 1);
});
