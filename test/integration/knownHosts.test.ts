// Our verdicts on host keys against those of the real ssh. `npm run soak` makes 500.

import assert from 'node:assert/strict';
import test from 'node:test';
import { runKnownHostsDifferential } from '../remote/knownHostsDifferential.ts';

test('ssh and we agree on 25 generated sets of known_hosts files', async () => {
  const { checked, verdicts } = await runKnownHostsDifferential(25, 20_261_122);
  assert.equal(checked, 25);
  assert.ok(verdicts.known > 0 && verdicts.unknown > 0 && verdicts.changed > 0);
});
