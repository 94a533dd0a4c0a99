// The run records on the nodes: they stay where they were written, and are read when asked for.

import { mapBounded } from '../base/async.ts';
import { UserError } from '../base/errors.ts';
import { pythonProgram } from '../probe/python.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import type { Shell } from '../remote/shell.ts';
import { parseRunHead, parseRunRecord, type RunHead, type RunRecord } from './runRecord.ts';

export interface RunList {
  /** Newest first, by the nodes' own clocks corrected where an offset is known. */
  readonly runs: readonly RunHead[];
  readonly missing: readonly { readonly node: Node; readonly error: unknown }[];
}

export interface ListedRun {
  readonly node: Node;
  readonly record: RunRecord;
}

const maxNodesAtOnce = 8;
const recorder = 'python/faultline_probe.py';

export interface ListRunsOptions {
  readonly failedOnly?: boolean;
  /** Called after each node that answered, or could not. */
  readonly onProgress?: () => void;
}

/** The heads of the runs on these nodes. A node that cannot answer is in `missing`; the others go on. */
export async function listRuns(
  access: NodeAccess,
  nodes: readonly Node[],
  options: ListRunsOptions = {},
  signal?: AbortSignal,
): Promise<RunList> {
  const lists = await mapBounded(nodes, maxNodesAtOnce, async (node) => {
    try {
      return await listOnNode(await access.shell(node, signal), node, signal);
    } finally {
      options.onProgress?.();
    }
  });
  const runs = lists.flatMap((list) => (list.status === 'fulfilled' ? list.value : []));
  const wanted = options.failedOnly === true ? runs.filter(hasFailed) : runs;
  return {
    runs: [...wanted].sort((a, b) => b.startedAt.localeCompare(a.startedAt)),
    missing: lists.flatMap((list, index) =>
      list.status === 'rejected' ? [{ node: nodes[index]!, error: list.reason as unknown }] : [],
    ),
  };
}

export function hasFailed(run: RunHead): boolean {
  return run.state === 'failed' || run.state === 'lost';
}

async function listOnNode(shell: Shell, node: Node, signal?: AbortSignal): Promise<RunHead[]> {
  const output = await askRecorder(shell, node, ['list', '--json'], signal);
  return output
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => parseRunHead(parseJson(line), node.name) ?? []);
}

/** The whole record of a run. Errors: `run.notFound`, `run.invalid`, `run.tooNew`, `run.noPython`. */
export async function readRun(
  shell: Shell,
  node: Node,
  id: string,
  signal?: AbortSignal,
): Promise<RunRecord> {
  if (!/^[\w.-]{1,80}$/.test(id)) throw notFound(id.slice(0, 80), node.name);
  const output = await askRecorder(shell, node, ['show', id], signal);
  return parseRunRecord(parseJson(output));
}

/**
 * Looks for a run on all nodes at once. Nodes that cannot answer are only an error when the run is on none
 * of the others.
 */
export async function findRun(
  access: NodeAccess,
  nodes: readonly Node[],
  id: string,
  signal?: AbortSignal,
): Promise<ListedRun> {
  const asked = await mapBounded(nodes, maxNodesAtOnce, async (node) => {
    const record = await readRun(await access.shell(node, signal), node, id, signal);
    return { node, record };
  });
  for (const answer of asked) if (answer.status === 'fulfilled') return answer.value;
  const errors = asked.flatMap((answer, index) =>
    answer.status === 'rejected' ? [{ node: nodes[index]!, error: answer.reason as unknown }] : [],
  );
  // A record that is there but cannot be used says more than its absence elsewhere.
  const telling = errors.find(
    ({ error }) => error instanceof UserError && /^run\.(invalid|tooNew)$/.test(error.code),
  );
  if (telling !== undefined) throw telling.error;
  const silent = errors.filter(({ error }) => !isNotFound(error)).map(({ node }) => node.name);
  throw new UserError('run.notFound', `There is no run ${id} on any node that answered.`, {
    hint:
      silent.length > 0
        ? `These nodes could not be asked: ${silent.join(', ')}.`
        : 'See "faultline runs" for the recorded runs.',
  });
}

/** Looks on the nodes where the run is likely to be, and only then on all others. */
export async function findRunNear(
  access: NodeAccess,
  near: readonly Node[],
  id: string,
  signal?: AbortSignal,
): Promise<ListedRun> {
  if (near.length === 0) return findRun(access, access.nodes, id, signal);
  try {
    return await findRun(access, near, id, signal);
  } catch (error) {
    const others = access.nodes.filter((node) => !near.includes(node));
    if (!isNotFound(error) || others.length === 0) throw error;
    return findRun(access, others, id, signal);
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof UserError && error.code === 'run.notFound';
}

function notFound(id: string, node: string): UserError {
  return new UserError('run.notFound', `There is no run ${id} on ${node}.`, {
    hint: 'See the list of runs.',
  });
}

async function askRecorder(
  shell: Shell,
  node: Node,
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string> {
  const program = pythonProgram(recorder, { args, title: 'Read recorded runs' });
  const answer = await shell.exec(program.command, { stdin: program.input }, signal);
  if (answer.exitCode === 0) return answer.stdout.toString('utf8');
  if (answer.exitCode === 127 || answer.exitCode === 126) {
    throw new UserError('run.noPython', `${node.name} has no Python 3, so it holds no runs.`, {
      hint: `Install python3 on ${node.name} to record runs there.`,
    });
  }
  if (args[0] === 'show' && answer.stdout.length === 0 && answer.exitCode === 1) {
    throw notFound(args[1] ?? '', node.name);
  }
  const reason = answer.stderr.trim().split('\n').at(-1) ?? '';
  throw new UserError('run.unreadable', `The runs on ${node.name} cannot be read: ${reason}.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the caller's check refuses it.
    return undefined;
  }
}
