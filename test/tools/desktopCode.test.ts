import assert from 'node:assert/strict';
import test from 'node:test';
import { isAtLeast } from './desktopCode.mjs';

const cases: readonly [found: string, needed: string, isEnough: boolean][] = [
  ['1.105.0', '1.105.0', true],
  ['1.105.2', '1.105.0', true],
  ['1.139.1', '1.105.0', true],
  ['2.0.0', '1.105.0', true],
  ['1.99.9', '1.105.0', false],
  ['1.104.9', '1.105.0', false],
  ['', '1.105.0', false],
];

for (const [found, needed, isEnough] of cases) {
  test(`VS Code "${found}" ${isEnough ? 'is enough' : 'is too old'} for ${needed}`, () => {
    assert.equal(isAtLeast(found, needed), isEnough);
  });
}
