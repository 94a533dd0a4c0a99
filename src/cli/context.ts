// What every command of `faultline` is handed. A command is a function from its arguments to an exit code.

import type { Writable } from 'node:stream';
import type { CommandLog } from '../remote/commandLog.ts';
import type { ConnectionReport } from '../remote/connectionReport.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import { asciiControls, toDisplayLines } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';

export interface CliContext {
  readonly access: NodeAccess;
  /** What happened on the way to a node; undefined before it was tried. */
  readonly connectionReport?: (node: Node) => ConnectionReport | undefined;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Aborted by Ctrl-C and by a closed stdout. */
  readonly signal: AbortSignal;
  /** True with `--json`, which is recognised before and after the command's name. */
  readonly json: boolean;
  /** With `--commands`: every remote command of this call, as it comes. */
  readonly commands?: CommandLog;
}

/**
 * Exit codes: 0 done; 1 differences, findings or failures as the command says; 2 wrong use; 3 some node
 * could not answer. `args` are the words after the command's name, without the global options.
 */
export type CliCommand = (args: readonly string[], context: CliContext) => Promise<number>;

export const exitCodes = { done: 0, found: 1, wrongUse: 2, nodeMissing: 3 } as const;

export function wrongUse(message: string, hint?: string): UserError {
  return new UserError('cli.usage', message, hint === undefined ? {} : { hint });
}

/** The nodes of these names, or all of them; an unknown name is wrong use. */
export function selectNodes(names: readonly string[], nodes: readonly Node[]): readonly Node[] {
  if (names.length === 0) return nodes;
  return names.map((name) => findNode(name, nodes));
}

export function findNode(name: string, nodes: readonly Node[]): Node {
  const node = nodes.find((candidate) => candidate.name === name);
  if (node !== undefined) return node;
  throw wrongUse(
    `There is no node named "${name}".`,
    nodes.length === 0
      ? 'No nodes are configured: add "faultline.nodes" to the settings file.'
      : `Known nodes: ${nodes
          .slice(0, 12)
          .map((known) => known.name)
          .join(', ')}.`,
  );
}

/**
 * Output as one JSON document (with `--json`) or as text made only when it is wanted. Names come from settings that a
 * folder brought along, and values from nodes: nothing in them acts on a terminal.
 */
export function print(context: CliContext, value: unknown, text: () => string): void {
  const output = context.json
    ? asciiControls(JSON.stringify(value, undefined, 2))
    : toDisplayLines(text());
  context.stdout.write(output.endsWith('\n') ? output : `${output}\n`);
}
