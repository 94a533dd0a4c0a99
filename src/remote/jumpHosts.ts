// The sshds on the way to a node.

import { jumpLoop } from './sshFailures.ts';
import type { SshTarget } from './sshConfig.ts';

const maxJumps = 16;

/**
 * All jump hosts before the target, the first one first. As with `ssh -J a,b`: b is reached through a, and a as its
 * own configuration says. Errors: `ssh.jumpLoop`, and those of `resolve`.
 */
export async function jumpHostsOf(
  target: SshTarget,
  resolve: (alias: string) => Promise<SshTarget>,
  node: string,
): Promise<readonly SshTarget[]> {
  const hops = await Promise.all(target.proxyJump.map(resolve));
  for (;;) {
    const before = hops[0]?.proxyJump ?? [];
    if (before.length === 0) return hops;
    if (hops.length > maxJumps) throw jumpLoop(node);
    hops.unshift(...(await Promise.all(before.map(resolve))));
  }
}
