// How to reach a server of the tests, without asking `ssh -G`.

import { parseTarget, type SshTarget } from '../../src/remote/sshConfig.ts';

/** On 127.0.0.1, with neither keys nor agent unless `overrides` says so. */
export function sshTarget(
  overrides: Partial<SshTarget> & Pick<SshTarget, 'alias' | 'port'>,
): SshTarget {
  const plain = parseTarget(
    overrides.alias,
    'hostname 127.0.0.1\nidentityagent none\nidentityfile none\nglobalknownhostsfile none\n',
  );
  return { ...plain, ...overrides };
}
