// A terminal on a node, over the connection that is already there.

import * as vscode from 'vscode';
import { StringDecoder } from 'node:string_decoder';
import { toDisplay } from '../base/displayText.ts';
import { describeError } from '../base/errors.ts';
import { TerminalTextFilter } from '../debug/terminalText.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import type { RemoteCommand, RemoteTerminal } from '../remote/shell.ts';
import type { RunRecord } from '../run/runRecord.ts';

/** Opens the user's login shell on the node. */
export function openNodeTerminal(access: NodeAccess, node: Node): void {
  show(toDisplay(node.name, 60), new NodeTerminal(access, node, undefined));
}

/** Opens a shell where a recorded run was, with its directory, umask and variables; masked secrets are left out. */
export function openRunTerminal(access: NodeAccess, node: Node, record: RunRecord): void {
  const variables = Object.entries(record.env).flatMap(([name, value]) =>
    typeof value === 'string' ? [`${name}=${value}`] : [],
  );
  const command: RemoteCommand = {
    script: runShellScript,
    args: [record.cwd.logical, record.umask, ...variables],
  };
  show(`${toDisplay(node.name, 40)}: ${record.id}`, new NodeTerminal(access, node, command));
}

// The terminal's own variables stay; everything else is the run's.
const runShellScript = `
dir=$1 mask=$2; shift 2
cd -- "$dir" || echo "faultline: the directory of the run cannot be entered: $dir"
umask "$mask"
exec env -i "TERM=$TERM" "HOME=$HOME" "USER=\${USER:-$(id -un)}" "SHELL=\${SHELL:-/bin/sh}" "$@" "\${SHELL:-/bin/sh}" -i`;

function show(name: string, pty: NodeTerminal): void {
  vscode.window
    .createTerminal({ name, pty, iconPath: new vscode.ThemeIcon('remote'), isTransient: true })
    .show();
}

class NodeTerminal implements vscode.Pseudoterminal {
  private readonly access: NodeAccess;
  private readonly node: Node;
  private readonly command: RemoteCommand | undefined;
  private readonly written = new vscode.EventEmitter<string>();
  private readonly closed = new vscode.EventEmitter<number | void>();
  private terminal: RemoteTerminal | undefined;
  private isClosed = false;
  private size = { columns: 80, rows: 24 };

  readonly onDidWrite = this.written.event;
  readonly onDidClose = this.closed.event;

  constructor(access: NodeAccess, node: Node, command: RemoteCommand | undefined) {
    this.access = access;
    this.node = node;
    this.command = command;
  }

  open(dimensions: vscode.TerminalDimensions | undefined): void {
    if (dimensions !== undefined) this.size = dimensions;
    this.connect().catch((error: unknown) => {
      this.written.fire(`\r\n${toDisplay(describeError(error))}\r\n`);
      this.closed.fire(1);
    });
  }

  close(): void {
    this.isClosed = true;
    this.terminal?.dispose();
  }

  handleInput(data: string): void {
    this.terminal?.write(data);
  }

  setDimensions(dimensions: vscode.TerminalDimensions): void {
    this.size = dimensions;
    this.terminal?.resize(dimensions);
  }

  private async connect(): Promise<void> {
    const shell = await this.access.shell(this.node);
    const terminal = await shell.openTerminal(this.size, this.command);
    if (this.isClosed) return terminal.dispose();
    this.terminal = terminal;
    const decoder = new StringDecoder('utf8');
    // The node may not rename the tab, write the clipboard or answer for the user.
    const filter = new TerminalTextFilter('terminal');
    terminal.output.on('data', (chunk: Buffer) => {
      this.written.fire(filter.push(decoder.write(chunk)));
    });
    const exit = await terminal.exited;
    this.closed.fire(exit.exitCode ?? 1);
  }
}
