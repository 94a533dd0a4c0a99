// Files of a node in the editor, read only: `faultline://node/path`. A query `?end` stands for the end of a file
// that is too large to be read whole.

import * as vscode from 'vscode';
import { toDisplay, toNotice } from '../base/displayText.ts';
import { describeError, UserError } from '../base/errors.ts';
import { FileWatch, type FileWatchOptions } from '../remote/fileWatch.ts';
import {
  formatNodeUri,
  homeDirectory,
  listDirectory,
  nodeFileScheme,
  nodeOfAuthority,
  pathOfUriPath,
  readFile,
  readFileRange,
  statFile,
  uriAuthority,
  uriPath,
  type NodeFile,
  type NodePath,
} from '../remote/nodeFiles.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import type { Shell } from '../remote/shell.ts';
import type { CommandsOf } from './names.ts';
import { pickNode } from './pickers.ts';

/** The nodes, also without connecting to them. */
export interface FileNodes extends NodeAccess {
  shellNow(node: Node): Shell | undefined;
}

/** How much of a large file's end is shown. */
const endBytes = 4 << 20;
const endQuery = 'end';
const openTheEnd = 'Open Its End';

/** How often watched files are looked at. */
type WatchPace = Pick<FileWatchOptions, 'minIntervalMs' | 'maxIntervalMs'>;

export class NodeFiles implements vscode.FileSystemProvider, vscode.Disposable {
  private readonly access: FileNodes;
  private readonly changed = new vscode.EventEmitter<vscode.FileChangeEvent[]>();
  private readonly watcher: FileWatch;
  /** The watched addresses as VS Code wrote them, by node and path: changes are told in the same words. */
  private readonly watched = new Map<string, Set<vscode.Uri>>();
  /** Addresses of files that are too large, while the user is asked about them. */
  private readonly offered = new Set<string>();

  readonly onDidChangeFile = this.changed.event;

  constructor(access: FileNodes, pace: WatchPace = {}) {
    this.access = access;
    this.watcher = new FileWatch({
      shellNow: (name) => {
        const node = this.access.nodes.find((candidate) => candidate.name === name);
        return node === undefined ? undefined : this.access.shellNow(node);
      },
      isActive: () => vscode.window.state.focused,
      ...pace,
    });
    this.watcher.onDidChange((changes) => {
      const events = changes.flatMap(({ node, path, kind }) =>
        [...(this.watched.get(keyOf(node, path)) ?? [])].map((uri) => ({
          type: changeTypes[kind],
          uri,
        })),
      );
      this.changed.fire(events);
    });
  }

  dispose(): void {
    this.watcher.dispose();
    this.changed.dispose();
  }

  commands(): CommandsOf<'files'> {
    const isNode = (value: unknown): value is Node => this.access.nodes.includes(value as Node);
    return {
      browseFiles: async (...args) => {
        const node = args.find(isNode) ?? (await pickNode(this.access, 'Browse the files of'));
        if (node !== undefined) await this.browse(node);
      },
      openFileEnd: async (target) => {
        const uri =
          target instanceof vscode.Uri ? target : vscode.window.activeTextEditor?.document.uri;
        if (uri?.scheme === nodeFileScheme) await openEnd(uri);
      },
    };
  }

  async stat(uri: vscode.Uri): Promise<vscode.FileStat> {
    const { path, shell } = await this.locate(uri);
    const stat = await asked(uri, statFile(shell, path));
    return {
      type: typeOf(stat),
      size: isEnd(uri) ? Math.min(stat.size, endBytes) : stat.size,
      mtime: stat.modifiedAt * 1000,
      ctime: 0,
      permissions: vscode.FilePermission.Readonly,
    };
  }

  async readDirectory(uri: vscode.Uri): Promise<[string, vscode.FileType][]> {
    const { path, shell } = await this.locate(uri);
    const entries = await asked(uri, listDirectory(shell, path));
    return entries.map((entry) => [uriPath(entry.name), typeOf(entry)]);
  }

  async readFile(uri: vscode.Uri): Promise<Uint8Array> {
    const { path, shell } = await this.locate(uri);
    if (isEnd(uri)) return asked(uri, readEnd(shell, path));
    const reading = readFile(shell, path);
    reading.catch((error: unknown) => {
      if (error instanceof UserError && error.code === 'file.tooLarge') this.offerEnd(uri, error);
    });
    return asked(uri, reading);
  }

  /** Looks every few seconds, as long as there is a connection; folders are watched, what is in them is not. */
  watch(uri: vscode.Uri): vscode.Disposable {
    const node = this.findNode(uri.authority);
    if (node === undefined) return { dispose: () => undefined };
    const path = pathOfUriPath(uri.path);
    const key = keyOf(node.name, path);
    const addresses = this.watched.get(key) ?? new Set();
    this.watched.set(key, addresses.add(uri));
    const watching = this.watcher.watch(node.name, path);
    return {
      dispose: () => {
        watching.dispose();
        addresses.delete(uri);
        if (addresses.size === 0) this.watched.delete(key);
      },
    };
  }

  writeFile(uri: vscode.Uri): never {
    throw readOnly(uri);
  }

  createDirectory(uri: vscode.Uri): never {
    throw readOnly(uri);
  }

  delete(uri: vscode.Uri): never {
    throw readOnly(uri);
  }

  rename(uri: vscode.Uri): never {
    throw readOnly(uri);
  }

  /** VS Code's own dialog for files, which goes from folder to folder on any file system. */
  private async browse(node: Node): Promise<void> {
    const name = toDisplay(node.name, 60);
    const home = await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Window, title: toNotice(`Connecting to ${name}`) },
      async () => homeDirectory(await this.access.shell(node)),
    );
    const chosen = await vscode.window.showOpenDialog({
      title: `Files of ${name}`,
      defaultUri: vscode.Uri.from({
        scheme: nodeFileScheme,
        authority: uriAuthority(node.name),
        path: uriPath(home),
      }),
      canSelectMany: true,
      openLabel: 'Open Read-only',
    });
    for (const uri of chosen ?? []) await vscode.commands.executeCommand('vscode.open', uri);
  }

  private offerEnd(uri: vscode.Uri, error: UserError): void {
    const key = uri.toString();
    if (this.offered.has(key)) return;
    this.offered.add(key);
    void vscode.window
      .showWarningMessage(toNotice(error.message), openTheEnd)
      .then(async (choice) => {
        this.offered.delete(key);
        if (choice !== undefined) await openEnd(uri);
      });
  }

  private async locate(uri: vscode.Uri): Promise<{ path: NodePath; shell: Shell }> {
    const node = this.findNode(uri.authority);
    if (node === undefined) throw vscode.FileSystemError.FileNotFound(uri);
    try {
      return { path: pathOfUriPath(uri.path), shell: await this.access.shell(node) };
    } catch (error) {
      throw vscode.FileSystemError.Unavailable(describeError(error));
    }
  }

  private findNode(authority: string): Node | undefined {
    const name = nodeOfAuthority(authority);
    const exact = this.access.nodes.find((candidate) => candidate.name === name);
    if (exact !== undefined) return exact;
    // An address that somebody typed: VS Code has written its authority in lower case.
    const similar = this.access.nodes.filter(
      (candidate) => candidate.name.toLowerCase() === authority.toLowerCase(),
    );
    return similar.length === 1 ? similar[0] : undefined;
  }
}

/** Shows a line (from 1) of a file on a node. */
export async function openNodeFile(node: string, file: string, line: number): Promise<void> {
  const uri = vscode.Uri.parse(formatNodeUri({ node, path: file }), true);
  const at = new vscode.Position(Math.max(0, line - 1), 0);
  await vscode.window.showTextDocument(uri, { selection: new vscode.Range(at, at) });
}

const changeTypes = {
  created: vscode.FileChangeType.Created,
  changed: vscode.FileChangeType.Changed,
  deleted: vscode.FileChangeType.Deleted,
};

function keyOf(node: string, path: NodePath): string {
  return `${node}\0${path}`;
}

function isEnd(uri: vscode.Uri): boolean {
  return uri.query === endQuery;
}

async function openEnd(uri: vscode.Uri): Promise<void> {
  await vscode.commands.executeCommand('vscode.open', uri.with({ query: endQuery, fragment: '' }));
}

/** The last bytes of the file, from the beginning of a line on. */
async function readEnd(shell: Shell, path: NodePath): Promise<Uint8Array> {
  const { bytes, offset } = await readFileRange(shell, path, -endBytes, endBytes);
  return offset === 0 ? bytes : bytes.subarray(bytes.indexOf('\n') + 1);
}

function readOnly(uri: vscode.Uri): vscode.FileSystemError {
  return vscode.FileSystemError.NoPermissions(uri);
}

function typeOf(file: NodeFile): vscode.FileType {
  const kinds = {
    file: vscode.FileType.File,
    directory: vscode.FileType.Directory,
    other: vscode.FileType.Unknown,
    missing: vscode.FileType.Unknown,
  };
  return kinds[file.kind] | (file.isLink ? vscode.FileType.SymbolicLink : 0);
}

/** The core's errors in the words of VS Code's file service. */
async function asked<T>(uri: vscode.Uri, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    switch (error.code) {
      case 'file.notFound':
        throw vscode.FileSystemError.FileNotFound(uri);
      case 'file.brokenLink':
        throw vscode.FileSystemError.FileNotFound(error.message);
      case 'file.noPermission':
        throw vscode.FileSystemError.NoPermissions(error.message);
      case 'file.notDirectory':
        throw vscode.FileSystemError.FileNotADirectory(uri);
      case 'file.isDirectory':
        throw vscode.FileSystemError.FileIsADirectory(uri);
      default:
        throw vscode.FileSystemError.Unavailable(describeError(error));
    }
  }
}
