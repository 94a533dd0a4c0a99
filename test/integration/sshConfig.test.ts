// The reading of ssh configurations without `ssh`, against the real `ssh -G`. `npm run soak` makes 500.

import assert from 'node:assert/strict';
import test from 'node:test';
import { runSshConfigDifferential } from '../remote/sshConfigDifferential.ts';

test('40 generated configurations mean the same with and without ssh', async () => {
  const { checked, refused } = await runSshConfigDifferential(40, 20_261_122);
  assert.equal(checked, 40);
  assert.ok(refused < 30, `${refused} of them were only refused`);
});
