// The workspace a fleet is shown in: `.vscode/settings.json` with its nodes, as a user would write
// it.

import type { NodeRecord } from './state.ts';

export interface Workspace {
  readonly settingsFile: string;
  readonly sshConfigFile: string;
  readonly knownHostsFile: string;
}

export function workspaceOf(dir: string): Workspace {
  return {
    settingsFile: `${dir}/workspace/.vscode/settings.json`,
    sshConfigFile: `${dir}/ssh_config`,
    knownHostsFile: `${dir}/known_hosts`,
  };
}

/** JSONC with a comment and trailing commas, both of which VS Code allows. */
export function settingsText(nodes: readonly NodeRecord[], sshConfigFile: string): string {
  const entries = nodes.map(
    ({ name, labels, logs }) => `    ${JSON.stringify({ name, labels, logs })},`,
  );
  return [
    '{',
    '  // The demo fleet. Names are the aliases of its ssh configuration file.',
    '  "faultline.nodes": [',
    ...entries,
    '  ],',
    `  "faultline.ssh.configFile": ${JSON.stringify(sshConfigFile)},`,
    '}',
    '',
  ].join('\n');
}
