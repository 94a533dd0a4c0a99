// CONTRIBUTING.md has a line for each source file: a map with a place missing is worse than none.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

const root = join(import.meta.dirname, '..');

test('every source file is on the map, and the map names no other', () => {
  const map = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8').split('## The map')[1] ?? '';
  const listed: string[] = [];
  let folder = 'src/';
  for (const line of map.split('\n')) {
    folder = /^\*\*`(src\/\w+\/)`\*\*/.exec(line)?.[1] ?? folder;
    const file = /^- `([^`]+)` – /.exec(line)?.[1];
    if (file !== undefined) listed.push(file.startsWith('src/') ? file : folder + file);
  }
  const files = globSync('src/**/*.*', { cwd: root }).filter(
    (file) => !file.includes('__pycache__'),
  );
  assert.deepEqual(listed.sort(), files.sort());
});
