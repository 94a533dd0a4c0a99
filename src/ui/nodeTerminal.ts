// A terminal on a node, over the connection that is already there.

import * as vscode from 'vscode';
import { StringDecoder } from 'node:string_decoder';
import { toDisplay } from '../base/displayText.ts';
import { delay } from '../base/async.ts';
import { describeError, UserError } from '../base/errors.ts';
import { runTerminalCommand } from '../debug/runTerminal.ts';
import { TerminalTextFilter } from '../debug/terminalText.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import type { RemoteCommand, RemoteTerminal } from '../remote/shell.ts';
import type { RunRecord } from '../run/runRecord.ts';

/** Opens the user's login shell on the node. */
export function openNodeTerminal(access: NodeAccess, node: Node): void {
  show(toDisplay(node.name, 60), new NodeTerminal(access, node, undefined));
}

/** Opens a shell where a recorded run was, with its directory, umask and variables. */
export function openRunTerminal(access: NodeAccess, node: Node, record: RunRecord): void {
  const name = `${toDisplay(node.name, 40)}: ${record.id}`;
  show(name, new NodeTerminal(access, node, runTerminalCommand(record)));
}

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
  /** What was typed while the connection was being made. */
  private readonly typed: string[] = [];
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
    if (this.terminal === undefined) this.typed.push(data);
    else this.terminal.write(data);
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
    for (const data of this.typed.splice(0)) terminal.write(data);
    const decoder = new StringDecoder('utf8');
    // The node may not rename the tab, write the clipboard or answer for the user.
    const filter = new TerminalTextFilter('terminal');
    const write = (text: string): void => this.written.fire(filter.push(text));
    terminal.output.on('data', (chunk: Buffer) => write(decoder.write(chunk)));
    const lastOutput = new Promise((resolve) => terminal.output.once('close', resolve));
    // A resize while the channel was being opened.
    terminal.resize(this.size);
    const exit = await terminal.exited;
    // An exit may be heard of before the last output is, and a background child keeps the output open.
    await Promise.race([lastOutput, delay(lastOutputMs)]);
    write(decoder.end());
    terminal.dispose();
    if (exit.exitCode === undefined && exit.signal === undefined && !this.isClosed) {
      throw new UserError('node.connectionLost', `The connection to ${this.node.name} was lost.`);
    }
    this.closed.fire(exit.exitCode ?? 1);
  }
}

const lastOutputMs = 500;
