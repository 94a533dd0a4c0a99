// Files of a node in the editor, read only: `faultline://node/path`.

import * as vscode from 'vscode';
import { describeError, UserError } from '../base/errors.ts';
import {
  listDirectory,
  nodeFileScheme,
  nodeOfAuthority,
  pathOfUriPath,
  readFile,
  statFile,
  uriPath,
  type NodeFile,
  type NodePath,
} from '../remote/nodeFiles.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import type { Shell } from '../remote/shell.ts';

export class NodeFiles implements vscode.FileSystemProvider {
  private readonly access: NodeAccess;
  private readonly changed = new vscode.EventEmitter<vscode.FileChangeEvent[]>();

  readonly onDidChangeFile = this.changed.event;

  constructor(access: NodeAccess) {
    this.access = access;
  }

  register(): vscode.Disposable {
    return vscode.Disposable.from(
      this.changed,
      vscode.workspace.registerFileSystemProvider(nodeFileScheme, this, {
        isCaseSensitive: true,
        isReadonly: new vscode.MarkdownString('This file is on a node; Faultline only reads it.'),
      }),
    );
  }

  async stat(uri: vscode.Uri): Promise<vscode.FileStat> {
    const { path, shell } = await this.locate(uri);
    const stat = await asked(uri, statFile(shell, path));
    return {
      type: typeOf(stat),
      size: stat.size,
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
    return asked(uri, readFile(shell, path));
  }

  /** Nothing is watched: a source view does not change under its reader. */
  watch(): vscode.Disposable {
    return { dispose: () => undefined };
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
