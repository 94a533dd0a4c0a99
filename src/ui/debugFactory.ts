// Debug sessions of type `faultline` in VS Code: the adapter runs inline, and F5 without a launch.json offers
// recorded runs.

import * as vscode from 'vscode';
import { toDisplay } from '../base/displayText.ts';
import { describeError } from '../base/errors.ts';
import { debugType, parseConfiguration } from '../debug/launchConfiguration.ts';
import type { SessionHost } from '../debug/session.ts';
import type { Node } from '../remote/node.ts';
import {
  describeEnd,
  headOf,
  programName,
  type RunHead,
  type RunRecord,
} from '../run/runRecord.ts';
import type { Debugging } from './late.ts';

export interface RecordedRuns {
  /** Known failed runs, newest first. */
  readonly failed: readonly RunHead[];
  /** Lets the user choose; undefined when cancelled. */
  pick(): Promise<RunHead | undefined>;
}

/** Most that a menu of configurations can hold and still be read. */
const maxOffered = 20;

export class DebugFactory implements Debugging {
  private readonly host: SessionHost;
  private readonly runs: RecordedRuns;

  constructor(host: SessionHost, runs: RecordedRuns) {
    this.host = host;
    this.runs = runs;
  }

  async createDebugAdapterDescriptor(): Promise<vscode.DebugAdapterDescriptor> {
    // Configurations are offered and checked without it.
    const { FaultlineSession } = await import('../debug/session.ts');
    return new vscode.DebugAdapterInlineImplementation(new FaultlineSession(this.host));
  }

  /** Undefined stops the start: the user has cancelled, or has been told what is wrong. */
  async resolveDebugConfiguration(
    _folder: vscode.WorkspaceFolder | undefined,
    configuration: vscode.DebugConfiguration,
  ): Promise<vscode.DebugConfiguration | undefined> {
    if (configuration.type === undefined || configuration.type === '') {
      const run = await this.runs.pick();
      return run === undefined ? undefined : configurationOf(run);
    }
    try {
      parseConfiguration(configuration);
      return configuration;
    } catch (error) {
      void vscode.window.showErrorMessage(toDisplay(describeError(error), 500), { modal: true });
      return undefined;
    }
  }

  /** Recorded runs that failed. */
  provideDebugConfigurations(): vscode.DebugConfiguration[] {
    return this.runs.failed.slice(0, maxOffered).map((run) => configurationOf(run));
  }
}

/** Starts the run again on this node, under the debugger. */
export async function debugRun(record: RunRecord, node: Node): Promise<void> {
  const configuration = configurationOf(headOf(record, node.name));
  if (await vscode.debug.startDebugging(undefined, configuration)) {
    // The variables are what the user came for.
    await vscode.commands.executeCommand('workbench.view.debug');
  }
}

/** The configuration that reopens a recorded run under the debugger, on its node unless another is named. */
function configurationOf(run: RunHead, node = run.node): vscode.DebugConfiguration {
  const name = `${programName(run.argv)} on ${node}: ${describeEnd(run)}`;
  return {
    type: debugType,
    request: 'launch',
    name: toDisplay(name, 120),
    run: run.run,
    node,
  };
}
