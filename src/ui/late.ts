// What activation leaves for later. VS Code gets a thin registration at once; what stands behind it is loaded when
// VS Code or the user first asks for it. extension.ts names what that is, test/architecture.test.ts what it is not.

import * as vscode from 'vscode';
import type { Commands } from './commands.ts';

/** Gives the one thing that the first call makes. A making that failed is tried again by the next call. */
export type Late<T> = () => Promise<T>;

export function late<T>(make: () => Promise<T>): Late<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}

/** Commands whose handlers are loaded when the first of them is called. */
export function lateCommands<Id extends string>(
  ids: readonly Id[],
  table: Late<Commands<Id>>,
): Commands<Id> {
  const handlers = ids.map((id) => [
    id,
    async (...args: unknown[]) => (await table())[id](...args),
  ]);
  return Object.fromEntries(handlers) as Commands<Id>;
}

/** A view whose rows are loaded when it is first shown. */
export function createLateTree<Row>(
  viewId: string,
  options: Omit<vscode.TreeViewOptions<Row>, 'treeDataProvider'>,
  tree: Late<vscode.TreeDataProvider<Row>>,
): vscode.TreeView<Row> {
  const changes = new vscode.EventEmitter<Row | Row[] | undefined | null | void>();
  const loaded = relaying(tree, ({ onDidChangeTreeData }) => onDidChangeTreeData, changes);
  return vscode.window.createTreeView<Row>(viewId, {
    ...options,
    treeDataProvider: {
      onDidChangeTreeData: changes.event,
      getChildren: async (row) => (await loaded()).getChildren(row),
      getTreeItem: async (row) => (await loaded()).getTreeItem(row),
      resolveTreeItem: async (item, row, token) =>
        (await (await loaded()).resolveTreeItem?.(item, row, token)) ?? item,
    },
  });
}

/** A view that is a page, loaded when it is first shown. */
export function registerLateWebviewView(
  viewId: string,
  options: Parameters<typeof vscode.window.registerWebviewViewProvider>[2],
  view: Late<vscode.WebviewViewProvider>,
): vscode.Disposable {
  return vscode.window.registerWebviewViewProvider(
    viewId,
    { resolveWebviewView: async (...args) => (await view()).resolveWebviewView(...args) },
    options,
  );
}

/** Documents of a scheme of ours. */
export function registerLateDocuments(
  scheme: string,
  documents: Late<vscode.TextDocumentContentProvider>,
): vscode.Disposable {
  const changes = new vscode.EventEmitter<vscode.Uri>();
  const loaded = relaying(documents, ({ onDidChange }) => onDidChange, changes);
  const provider: vscode.TextDocumentContentProvider = {
    onDidChange: changes.event,
    provideTextDocumentContent: async (...args) =>
      (await loaded()).provideTextDocumentContent(...args),
  };
  return vscode.Disposable.from(
    changes,
    vscode.workspace.registerTextDocumentContentProvider(scheme, provider),
  );
}

/** Files of a scheme of ours. */
export function registerLateFiles(
  scheme: string,
  options: Parameters<typeof vscode.workspace.registerFileSystemProvider>[2],
  files: Late<vscode.FileSystemProvider>,
): vscode.Disposable {
  const changes = new vscode.EventEmitter<vscode.FileChangeEvent[]>();
  const loaded = relaying(files, ({ onDidChangeFile }) => onDidChangeFile, changes);
  const provider: vscode.FileSystemProvider = {
    onDidChangeFile: changes.event,
    stat: async (...args) => (await loaded()).stat(...args),
    readDirectory: async (...args) => (await loaded()).readDirectory(...args),
    readFile: async (...args) => (await loaded()).readFile(...args),
    writeFile: async (...args) => (await loaded()).writeFile(...args),
    createDirectory: async (...args) => (await loaded()).createDirectory(...args),
    delete: async (...args) => (await loaded()).delete(...args),
    rename: async (...args) => (await loaded()).rename(...args),
    watch: (...args) => {
      const watching = loaded().then((made) => made.watch(...args));
      // What cannot be loaded is told to the one who reads the file.
      watching.catch(() => undefined);
      return {
        dispose: () => {
          watching.then((made) => void made.dispose()).catch(() => undefined);
        },
      };
    },
  };
  return vscode.Disposable.from(
    changes,
    vscode.workspace.registerFileSystemProvider(scheme, provider, options),
  );
}

/** What VS Code asks of a debug type: an adapter, whether a configuration can be used, and which to offer. */
export type Debugging = vscode.DebugAdapterDescriptorFactory &
  Required<
    Pick<
      vscode.DebugConfigurationProvider,
      'resolveDebugConfiguration' | 'provideDebugConfigurations'
    >
  >;

export function registerLateDebugging(type: string, debugging: Late<Debugging>): vscode.Disposable {
  return vscode.Disposable.from(
    vscode.debug.registerDebugAdapterDescriptorFactory(type, {
      createDebugAdapterDescriptor: async (...args) =>
        (await debugging()).createDebugAdapterDescriptor(...args),
    }),
    vscode.debug.registerDebugConfigurationProvider(type, {
      resolveDebugConfiguration: async (...args) =>
        (await debugging()).resolveDebugConfiguration(...args),
    }),
    vscode.debug.registerDebugConfigurationProvider(
      type,
      {
        provideDebugConfigurations: async (...args) =>
          (await debugging()).provideDebugConfigurations(...args),
      },
      vscode.DebugConfigurationProviderTriggerKind.Dynamic,
    ),
  );
}

/** What is loaded, with its event passed on to `changes`; that ends when the loaded thing disposes of its event. */
function relaying<T, E>(
  load: Late<T>,
  eventOf: (loaded: T) => vscode.Event<E> | undefined,
  changes: vscode.EventEmitter<E>,
): Late<T> {
  return late(async () => {
    const loaded = await load();
    eventOf(loaded)?.((event) => changes.fire(event));
    return loaded;
  });
}
