// What the environment commands share: asking many nodes at once, and keeping what they said.

import { toDisplay } from '../base/displayText.ts';
import { describeError, UserError } from '../base/errors.ts';
import { snapshotNode } from '../env/collect.ts';
import { fromSnapshot } from '../env/comparable.ts';
import type { EnvSnapshot } from '../env/envSnapshot.ts';
import type { FactColumn } from '../env/factTable.ts';
import type { EnvHistory } from '../env/history.ts';
import type { RedactionKey } from '../env/redactionKey.ts';
import type { Node } from '../remote/node.ts';
import type { CliContext } from './context.ts';

export interface SnapshotKeeping {
  readonly key: RedactionKey;
  /** Where snapshots are kept; undefined with `--no-history`. */
  readonly history: EnvHistory | undefined;
}

/** As `snapshotNode`, and kept. A history that cannot be written is told and stops nothing. */
export async function takeAndKeep(
  node: Node,
  { access, signal, stderr }: CliContext,
  { key, history }: SnapshotKeeping,
): Promise<EnvSnapshot> {
  const snapshot = await snapshotNode(access, node, key, signal);
  try {
    await history?.record(snapshot);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    stderr.write(`faultline: ${toDisplay(describeError(error))}\n`);
  }
  return snapshot;
}

/** All at once, in the order of the nodes. One that cannot be asked says why. Errors: all but the nodes' own. */
export async function takeColumns(
  nodes: readonly Node[],
  context: CliContext,
  keeping: SnapshotKeeping,
): Promise<readonly FactColumn[]> {
  return Promise.all(
    nodes.map(async (node): Promise<FactColumn> => {
      try {
        return fromSnapshot(await takeAndKeep(node, context, keeping));
      } catch (error) {
        if (!isNodeError(error)) throw error;
        return { label: node.name, unavailable: describeError(error) };
      }
    }),
  );
}

export function isNodeError(error: unknown): boolean {
  return error instanceof UserError && /^(node|env\.noAnswer)\b/.test(error.code);
}
