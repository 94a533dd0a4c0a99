// Debug sessions of type `faultline` in VS Code: the adapter runs inline, and F5 without a launch.json offers
// recorded runs.

import * as vscode from 'vscode';
import { toDisplay } from '../base/displayText.ts';
import { describeError } from '../base/errors.ts';
import { debugType, parseConfiguration } from '../debug/launchConfiguration.ts';
import type { SessionHost } from '../debug/session.ts';
import { describeEnd, programName, type RunHead } from '../run/runRecord.ts';

export interface RecordedRuns {
  /** Known failed runs, newest first. */
  readonly failed: readonly RunHead[];
  /** Lets the user choose; undefined when cancelled. */
  pick(): Promise<RunHead | undefined>;
}

/** Most that a menu of configurations can hold and still be read. */
const maxOffered = 20;

export class DebugFactory
  implements vscode.DebugAdapterDescriptorFactory, vscode.DebugConfigurationProvider
{
  private readonly host: SessionHost;
  private readonly runs: RecordedRuns;

  constructor(host: SessionHost, runs: RecordedRuns) {
    this.host = host;
    this.runs = runs;
  }

  register(): vscode.Disposable {
    const dynamic = vscode.DebugConfigurationProviderTriggerKind.Dynamic;
    return vscode.Disposable.from(
      vscode.debug.registerDebugAdapterDescriptorFactory(debugType, this),
      vscode.debug.registerDebugConfigurationProvider(debugType, this),
      vscode.debug.registerDebugConfigurationProvider(
        debugType,
        { provideDebugConfigurations: () => this.provideRuns() },
        dynamic,
      ),
    );
  }

  async createDebugAdapterDescriptor(): Promise<vscode.DebugAdapterDescriptor> {
    // Activation does without the debugger.
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

  private provideRuns(): vscode.DebugConfiguration[] {
    return this.runs.failed.slice(0, maxOffered).map((run) => configurationOf(run));
  }
}

/** The configuration that reopens a recorded run under the debugger, on its node unless another is named. */
export function configurationOf(run: RunHead, node = run.node): vscode.DebugConfiguration {
  const name = `${programName(run.argv)} on ${node}: ${describeEnd(run)}`;
  return {
    type: debugType,
    request: 'launch',
    name: toDisplay(name, 120),
    run: run.run,
    node,
  };
}
