// our verdicts on host keys against ssh's.

import { runKnownHostsDifferential } from '../../remote/knownHostsDifferential.ts';
import type { Goal } from '../goal.ts';

const count = 500;

export const goal: Goal = {
  id: 'R-04',
  how: 'generated known_hosts files against `ssh -o BatchMode=yes`',
  limitMinutes: 8,
  run: async ({ seed }) => {
    const { checked, verdicts } = await runKnownHostsDifferential(count, seed);
    const each = Object.entries(verdicts).map(([verdict, times]) => `${times} ${verdict}`);
    return {
      ok: checked === count,
      figure: `${checked}/${count} the same verdict (${each.join(', ')})`,
    };
  },
};
