// Node → Shell: resolves the host, loads the SSH transport when it is first needed, and checks that a POSIX
// shell answers there.

import { UserError } from '../base/errors.ts';
import { toDisplay } from '../base/displayText.ts';
import type { Node } from './node.ts';
import type { ConnectNode } from './nodeRegistry.ts';
import type { Shell } from './shell.ts';
import type { LoginPrompts } from './ssh2Shell.ts';
import { resolveHost, type SshConfigOptions } from './sshConfig.ts';

/** The options and prompts are asked for at each connection, since settings change. */
export function sshConnector(
  config: () => SshConfigOptions,
  prompts: () => LoginPrompts,
): ConnectNode {
  return async (node, signal) => {
    const options = config();
    const resolve = (alias: string): ReturnType<typeof resolveHost> => resolveHost(alias, options);
    const target = await resolve(node.host);
    const { connectSsh } = await import('./ssh2Shell.ts');
    const connection = { node: node.name, target, resolve, prompts: prompts() };
    const shell = await connectSsh(connection, signal);
    try {
      await checkShell(node, shell, signal);
      return shell;
    } catch (error) {
      shell.dispose();
      throw error;
    }
  };
}

/** A login can succeed and still run nothing: an expired account, nologin, a forced command, only SFTP. */
async function checkShell(node: Node, shell: Shell, signal: AbortSignal): Promise<void> {
  const answer = await shell.exec({ script: 'echo ready' }, { timeoutMs: 15_000 }, signal);
  if (answer.stdout.toString() === 'ready\n') return;
  const words = toDisplay(answer.stderr.trim().split('\n').at(-1) ?? '', 200);
  throw new UserError(
    'node.noShell',
    `${node.name} lets you log in, but runs no commands${words === '' ? '' : ` (it says: ${words})`}.`,
    { hint: 'The account needs a login shell and no forced command.' },
  );
}
