import assert from 'node:assert/strict';
import test from 'node:test';
import { compareFailures, normalise, type RunEnd } from '../../src/run/sameFailure.ts';

const keyError = (message: string, line = 12, file = '/srv/shop/tariff.py'): RunEnd => ({
  exitCode: 1,
  signal: null,
  stderrTail: '',
  exception: {
    type: 'KeyError',
    module: 'builtins',
    message,
    traceback: '',
    source: 'hook',
    frames: [
      { file: '/srv/shop/main.py', line: 3, function: '<module>', code: '' },
      { file, line, function: 'rate', code: '' },
    ],
  },
});
const exit = (exitCode: number | null, stderrTail = '', signal: string | null = null): RunEnd => ({
  exitCode,
  signal,
  exception: null,
  stderrTail,
});

const cases: readonly [string, RunEnd, RunEnd, RegExp | undefined][] = [
  ['the same exception', keyError("'X'"), keyError("'X'"), undefined],
  ['another message', keyError("'X'"), keyError("'Y'"), /KeyError says "'Y'"; recorded was "'X'"/],
  ['an address in it', keyError('at 0x7f01aa'), keyError('at 0x7f99bb'), undefined],
  ['another line', keyError("'X'"), keyError("'X'", 13), /line 13 .* line 12/],
  ['a worktree beside', keyError("'X'"), keyError("'X'", 12, '/tmp/w/tariff.py'), undefined],
  ['another file', keyError("'X'"), keyError("'X'", 12, '/srv/b.py'), /It failed in rate/],
  ['no exception now', keyError("'X'"), exit(1), /only the recorded run: KeyError/],
  ['passed now', keyError("'X'"), exit(0), /The run passed; recorded was exit code 1/],
  ['another exit code', exit(3), exit(4), /exit code 4; recorded was exit code 3/],
  ['a signal', exit(null, '', 'SIGKILL'), exit(null, '', 'SIGKILL'), undefined],
  ['exit instead of a signal', exit(null, '', 'SIGKILL'), exit(137), /exit code 137; .* SIGKILL/],
  ['the same last words', exit(2, 'a\nbad pid 12\n'), exit(2, 'b\nbad pid 99\n'), undefined],
  ['other last words', exit(2, 'no disk'), exit(2, 'no memory'), /"no memory"; recorded was "no/],
  ['both passed, other output', exit(0, 'took 3 s'), exit(0, 'warning'), undefined],
];

for (const [title, recorded, repeated, difference] of cases) {
  test(`rerun with ${title}`, () => {
    const result = compareFailures(recorded, repeated);
    assert.equal(result.sameFailure, difference === undefined);
    if (difference === undefined) assert.equal(result.difference, undefined);
    else assert.match(result.difference ?? '', difference);
  });
}

test('numbers that matter stay', () => {
  assert.equal(normalise('order 1042 of 7'), 'order 1042 of 7');
  assert.equal(normalise('2026-11-22T06:17:54.123Z took 12.5 ms'), '<time> took <duration>');
});
