// our reading of ssh configurations against ssh's.

import { runSshConfigDifferential } from '../../remote/sshConfigDifferential.ts';
import type { Goal } from '../goal.ts';

const count = 500;

export const goal: Goal = {
  id: 'R-62',
  how: 'generated ssh configurations against `ssh -G`',
  limitMinutes: 5,
  run: async ({ seed }) => {
    const { checked, refused } = await runSshConfigDifferential(count, seed);
    return {
      ok: checked === count,
      figure: `${checked}/${count} mean the same (${refused} refused by both)`,
    };
  },
};
