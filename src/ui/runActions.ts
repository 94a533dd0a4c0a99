// What the commands of the Runs view, and of a failing log entry, do.

import * as vscode from 'vscode';
import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import { isProduction, type Node, type NodeAccess } from '../remote/node.ts';
import { describeEnd, programName, type RunHead, type RunRecord } from '../run/runRecord.ts';
import { planLaunch, type LaunchPlan } from '../run/launchPlan.ts';
import { findRun, findRunNear, listRuns, readRun, type ListedRun } from '../run/runStore.ts';
import type { CommandsOf } from './names.ts';
import type { PreflightPanels } from './preflightPanel.ts';
import type { RunRow, RunTree } from './runTree.ts';

/** What runs can be used for beyond reading their records. */
export interface RunUses {
  debug(record: RunRecord, node: Node): Promise<void>;
  terminal(record: RunRecord, node: Node): Promise<void>;
  searchLogs(contextId: string): Promise<void>;
}

/** How a log entry names its run: by the run's id, else by its context id. */
export interface EntryOfRun {
  readonly node: string;
  readonly runId: string | undefined;
  readonly contextId: string | undefined;
}

export function runCommands(
  access: NodeAccess,
  tree: RunTree,
  panels: PreflightPanels,
  uses: RunUses,
): CommandsOf<'runs'> {
  const read = async (row: unknown): Promise<ListedRun | undefined> => {
    const head = headOfRow(row) ?? (await pickRun(tree));
    if (head === undefined) return undefined;
    const node = access.nodes.find((candidate) => candidate.name === head.node);
    if (node === undefined) throw gone(head);
    return { node, record: await readRun(await access.shell(node), node, head.run) };
  };
  return {
    refreshRuns: () => tree.refresh(),
    loadRuns: () => tree.load(access.nodes),
    showFailedRuns: () => tree.setFailedOnly(true),
    showAllRuns: () => tree.setFailedOnly(false),
    openRun: async (row) => {
      const run = await read(row);
      if (run !== undefined) panels.show(run.record, run.node);
    },
    debugRun: async (row) => {
      const run = await read(row);
      if (run !== undefined) await uses.debug(run.record, run.node);
    },
    openTerminalOfRun: async (row) => {
      const run = await read(row);
      if (run !== undefined) await uses.terminal(run.record, run.node);
    },
    showRunRecord: async (row) => {
      const run = await read(row);
      if (run !== undefined) await showRecord(run.record);
    },
    searchLogsOfRun: async (row) => {
      const run = await read(row);
      if (run === undefined) return;
      if (run.record.contextId == null) {
        throw new UserError('run.noContext', 'This run has no context id to search for.', {
          hint: 'Give the recorder one with --context, or FAULTLINE_CONTEXT_ID.',
        });
      }
      await uses.searchLogs(run.record.contextId);
    },
    /** From a CodeLens of a log document. */
    reopenRunOfEntry: async (entry) => {
      const run = await findRunOfEntry(access, entry as EntryOfRun);
      if (run !== undefined) panels.show(run.record, run.node);
    },
  };
}

function headOfRow(row: unknown): RunHead | undefined {
  const candidate = row as RunRow | undefined;
  return candidate?.kind === 'run' ? candidate.head : undefined;
}

function gone(head: RunHead): UserError {
  return new UserError(
    'run.nodeGone',
    `The node ${head.node} of this run is no longer configured.`,
  );
}

export async function pickRun(tree: RunTree): Promise<RunHead | undefined> {
  if (tree.runs.length === 0) {
    throw new UserError('run.none', 'No runs are known yet.', {
      hint: 'Connect to a node, or look for runs in the Runs view.',
    });
  }
  const items = tree.runs.map((head) => itemOf(head));
  const options = { title: 'Choose a run', placeHolder: 'Run', matchOnDescription: true };
  return (await vscode.window.showQuickPick(items, options))?.head;
}

function itemOf(head: RunHead): vscode.QuickPickItem & { readonly head: RunHead } {
  return {
    label: toDisplay(programName(head.argv), 60),
    description: toDisplay(`${head.node} · ${describeEnd(head)} · ${head.startedAt}`, 160),
    detail: toDisplay(head.argv.join(' '), 300),
    head,
  };
}

/**
 * By the run id in the line; else by its context id. One context id can have several runs: the user chooses,
 * nothing is guessed.
 */
async function findRunOfEntry(
  access: NodeAccess,
  entry: EntryOfRun,
): Promise<ListedRun | undefined> {
  if (entry.runId !== undefined) {
    const near = access.nodes.filter((node) => node.name === entry.node);
    return findRunNear(access, near, entry.runId);
  }
  const { runs } = await listRuns(access, access.nodes);
  const matching = runs.filter((run) => run.contextId === entry.contextId);
  if (entry.contextId === undefined || matching.length === 0) {
    throw new UserError('run.noneForEntry', 'No recorded run belongs to this log entry.', {
      hint: 'Runs are recorded by "faultline run", or by the probe on the node.',
    });
  }
  const head =
    matching.length === 1
      ? matching[0]
      : (
          await vscode.window.showQuickPick(matching.map(itemOf), {
            title: `${matching.length} runs belong to ${toDisplay(entry.contextId, 60)}`,
          })
        )?.head;
  return head === undefined ? undefined : findRun(access, access.nodes, head.run);
}

export async function showRecord(record: RunRecord): Promise<void> {
  const document = await vscode.workspace.openTextDocument({
    language: 'json',
    content: JSON.stringify(record, undefined, 2),
  });
  await vscode.window.showTextDocument(document, { preview: true });
}

/** What a debug session starts for a recorded run, on the node that is named or else on the run's own. */
export async function planRun(
  access: NodeAccess,
  wanted: { readonly run: string; readonly node: string | undefined },
  signal: AbortSignal,
): Promise<LaunchPlan> {
  const near = access.nodes.filter((node) => node.name === wanted.node);
  const found = await findRunNear(access, near, wanted.run, signal);
  const target = near[0] ?? found.node;
  // Here, so that a launch.json cannot go around it.
  if (!(await confirmStart(found.record, target))) {
    throw new UserError('run.notConfirmed', 'The run was not started.');
  }
  return planLaunch(found.record, target.name);
}

/**
 * A rerun may change things. On a node labelled `production` its name is typed first; elsewhere the click was
 * the consent.
 */
export async function confirmStart(record: RunRecord, node: Node): Promise<boolean> {
  if (!isProduction(node)) return true;
  const answer = await vscode.window.showInputBox({
    title: `${toDisplay(node.name, 100)} is labelled production`,
    prompt:
      `This runs in ${toDisplay(record.cwd.logical, 200)}: ` +
      `${toDisplay(record.argv.join(' '), 300)} — type the node's name to start it.`,
    placeHolder: node.name,
    ignoreFocusOut: true,
  });
  if (answer === undefined) return false;
  if (answer.trim() === node.name) return true;
  throw new UserError('run.notConfirmed', 'Not started: that is not the name of the node.');
}
