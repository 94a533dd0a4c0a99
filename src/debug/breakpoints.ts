// Breakpoints as the editor has them (by the editor's name of a file) → as the adapter wants them (all of a
// file at once, replacing those before). One file of the node may be two files in the editor: a file of the
// workspace and the node's own.

import type { DebugProtocol } from '@vscode/debugprotocol';
import type { NodePath } from '../remote/nodeFiles.ts';

export class BreakpointMerger {
  private readonly files = new Map<
    NodePath,
    Map<string, readonly DebugProtocol.SourceBreakpoint[]>
  >();

  /**
   * Replaces the breakpoints of one of the editor's files. `all` are those of the node's file, to be sent;
   * `pick` gives the part of the adapter's answer that belongs to this request.
   */
  replace(
    path: NodePath,
    clientPath: string,
    breakpoints: readonly DebugProtocol.SourceBreakpoint[],
  ): {
    readonly all: readonly DebugProtocol.SourceBreakpoint[];
    readonly pick: <T>(answers: readonly T[]) => readonly T[];
  } {
    const file = this.files.get(path) ?? new Map<string, typeof breakpoints>();
    this.files.set(path, file);
    file.set(clientPath, breakpoints);
    let start = 0;
    for (const [name, own] of file) {
      if (name === clientPath) break;
      start += own.length;
    }
    return {
      all: [...file.values()].flat(),
      pick: (answers) => answers.slice(start, start + breakpoints.length),
    };
  }
}
