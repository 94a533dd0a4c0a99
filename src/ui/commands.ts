// Every command: its id and a handler of a few lines. A test compares the ids with package.json.

import * as vscode from 'vscode';
import type { Reporter } from './report.ts';

/** A handler gets what VS Code passes: for a tree, the clicked item and the selected ones. */
export type CommandHandler = (...args: unknown[]) => unknown;

/** Ids without the prefix `faultline.`. Those in `internalCommands` are not in package.json. */
export type CommandTable = Readonly<Record<string, CommandHandler>>;

/** A table with exactly these commands. */
export type Commands<Id extends string> = Readonly<Record<Id, CommandHandler>>;

export function registerCommands(table: CommandTable, reporter: Reporter): vscode.Disposable {
  return vscode.Disposable.from(
    ...Object.entries(table).map(([id, handler]) =>
      vscode.commands.registerCommand(`faultline.${id}`, async (...args: unknown[]) => {
        try {
          return await handler(...args);
        } catch (error) {
          reporter.error(error);
          return undefined;
        }
      }),
    ),
  );
}

/**
 * The things a command was called on: all selected ones when the clicked one is among them, else the clicked
 * one. Empty when it was called from elsewhere, e.g. the command palette.
 */
export function targetsOf<T>(
  args: readonly unknown[],
  isTarget: (value: unknown) => value is T,
): T[] {
  const [clicked, selected] = args;
  const chosen = Array.isArray(selected) ? selected.filter(isTarget) : [];
  if (!isTarget(clicked)) return chosen;
  return chosen.includes(clicked) ? chosen : [clicked];
}
