import assert from 'node:assert/strict';
import test from 'node:test';
import { askRecorder } from './pythons.ts';

interface Found {
  readonly type: string;
  readonly module: string;
  readonly message: string;
  readonly traceback: string;
  readonly frames: readonly { file: string; line: number; function: string; code: string }[];
}

const plain = `starting
Traceback (most recent call last):
  File "/srv/shop/settle.py", line 12, in <module>
    main()
  File "/srv/shop/settle.py", line 9, in main
    return prices[order]
           ~~~~~~^^^^^^^
KeyError: 'A-7'
`;

const chained = `Traceback (most recent call last):
  File "a.py", line 2, in f
    1/0
ZeroDivisionError: division by zero

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 8, in <module>
    f()
  File "a.py", line 4, in f
    raise shop.errors.Failed("no price: for A")
shop.errors.Failed: no price: for A
some log line after it
`;

const syntax = `  File "/srv/bad.py", line 3
    foo(
       ^
SyntaxError: '(' was never closed
`;

const recursion = `Traceback (most recent call last):
  File "r.py", line 3, in <module>
    f()
  File "r.py", line 2, in f
    f()
  [Previous line repeated 996 more times]
RecursionError: maximum recursion depth exceeded
`;

const earlier = `${plain}recovered\nbye\n`;

function parse(...texts: readonly string[]): (Found | null)[] {
  return askRecorder('answer = [probe.traceback_in(text) for text in given]', texts) as Found[];
}

test('the last traceback in a program’s stderr is found, in every shape Python prints', () => {
  const [first, second, third, fourth, fifth, coloured] = parse(
    plain,
    chained,
    syntax,
    recursion,
    earlier,
    plain.replace('KeyError', '\u001b[1;35mKeyError\u001b[0m').replaceAll('\n', '\r\n'),
  );
  assert.deepEqual(first?.frames, [
    { file: '/srv/shop/settle.py', line: 12, function: '<module>', code: 'main()' },
    { file: '/srv/shop/settle.py', line: 9, function: 'main', code: 'return prices[order]' },
  ]);
  assert.deepEqual([first?.type, first?.module, first?.message], ['KeyError', 'builtins', "'A-7'"]);
  assert.ok(
    first?.traceback.startsWith('Traceback') && first.traceback.endsWith("KeyError: 'A-7'"),
  );
  assert.deepEqual(
    [second?.type, second?.module, second?.message, second?.frames.length],
    ['Failed', 'shop.errors', 'no price: for A', 2],
  );
  assert.deepEqual(third?.frames, [
    { file: '/srv/bad.py', line: 3, function: '<module>', code: 'foo(' },
  ]);
  assert.equal(third.type, 'SyntaxError');
  assert.equal(fourth?.frames.length, 2);
  assert.equal(fourth.type, 'RecursionError');
  assert.equal(fifth?.type, 'KeyError');
  assert.equal(coloured?.type, 'KeyError');
});

test('text that is no traceback is not taken for one', () => {
  assert.deepEqual(
    parse(
      '',
      'error: no such file\n',
      'Traceback (most recent call last):\n',
      'File "x", line 1\n',
    ),
    [null, null, null, null],
  );
});
