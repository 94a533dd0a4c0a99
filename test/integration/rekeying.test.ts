// R-06 with the cipher that is chosen by default; `npm run soak` takes all of them.

import assert from 'node:assert/strict';
import test from 'node:test';
import { streamThroughRekeys } from '../remote/rekeying.ts';

test('R-06: 1,000,000 lines arrive unharmed through hundreds of re-keys', async (t) => {
  const result = await streamThroughRekeys(1_000_000, 'aes128-gcm@openssh.com');
  t.diagnostic(JSON.stringify(result));
  assert.deepEqual(
    { ...result, rekeys: 0 },
    { lines: 1_000_000, wrong: 0, rekeys: 0, questions: 0 },
  );
  assert.ok(result.rekeys >= 150, `${result.rekeys} re-keys`);
});
