// The part of VS Code's API that src/ui uses and unit tests need, in plain Node. useVscode.ts puts it in the place
// of the module `vscode`; `fake` shows what was asked of it, and answers for the user.

type Listener<T> = (event: T) => unknown;

export class Disposable {
  private readonly onDispose: () => void;
  constructor(onDispose: () => void) {
    this.onDispose = onDispose;
  }
  static from(...items: { dispose(): unknown }[]): Disposable {
    return new Disposable(() => items.forEach((item) => item.dispose()));
  }
  dispose(): void {
    this.onDispose();
  }
}

export class EventEmitter<T> {
  private readonly listeners = new Set<Listener<T>>();
  readonly event = (listener: Listener<T>): Disposable => {
    this.listeners.add(listener);
    return new Disposable(() => this.listeners.delete(listener));
  };
  fire(event: T): void {
    for (const listener of [...this.listeners]) listener(event);
  }
  dispose(): void {
    this.listeners.clear();
  }
}

export class ThemeColor {
  readonly id: string;
  constructor(id: string) {
    this.id = id;
  }
}

export class ThemeIcon {
  readonly id: string;
  readonly color: ThemeColor | undefined;
  constructor(id: string, color?: ThemeColor) {
    this.id = id;
    this.color = color;
  }
}

export const TreeItemCollapsibleState = { None: 0, Collapsed: 1, Expanded: 2 } as const;

export class TreeItem {
  label: string;
  collapsibleState: number;
  constructor(label: string, collapsibleState: number = TreeItemCollapsibleState.None) {
    this.label = label;
    this.collapsibleState = collapsibleState;
  }
}

export class MarkdownString {
  value = '';
  appendText(text: string): this {
    this.value += text.replace(/[\\`*_{}[\]()#+\-!~]/g, '\\$&');
    return this;
  }
  appendCodeblock(text: string, language = ''): this {
    this.value += `\n\`\`\`${language}\n${text}\n\`\`\`\n`;
    return this;
  }
  appendMarkdown(text: string): this {
    this.value += text;
    return this;
  }
}

export class FileDecoration {
  readonly badge: string;
  readonly tooltip: string;
  readonly color: ThemeColor;
  constructor(badge: string, tooltip: string, color: ThemeColor) {
    this.badge = badge;
    this.tooltip = tooltip;
    this.color = color;
  }
}

interface UriParts {
  readonly scheme: string;
  readonly authority?: string;
  readonly path?: string;
  readonly query?: string;
  readonly fragment?: string;
}

export class Uri {
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string;
  readonly fragment: string;
  private constructor(parts: UriParts) {
    this.scheme = parts.scheme;
    this.authority = parts.authority ?? '';
    this.path = parts.path ?? '';
    this.query = parts.query ?? '';
    this.fragment = parts.fragment ?? '';
  }
  static from(parts: UriParts): Uri {
    return new Uri(parts);
  }
  with(change: Partial<UriParts>): Uri {
    return new Uri({ ...this, ...change });
  }
  toString(): string {
    const { scheme, authority, path, query, fragment } = this;
    return `${scheme}://${authority}${path}?${query}#${fragment}`;
  }
}

export const FileType = { Unknown: 0, File: 1, Directory: 2, SymbolicLink: 64 } as const;
export const FilePermission = { Readonly: 1 } as const;
export const FileChangeType = { Changed: 1, Created: 2, Deleted: 3 } as const;

export class FileSystemError extends Error {
  readonly code: string;
  private constructor(code: string, about: Uri | string) {
    super(String(about));
    this.code = code;
  }
  static FileNotFound = (about: Uri | string) => new FileSystemError('FileNotFound', about);
  static NoPermissions = (about: Uri | string) => new FileSystemError('NoPermissions', about);
  static Unavailable = (about: Uri | string) => new FileSystemError('Unavailable', about);
  static FileNotADirectory = (about: Uri | string) =>
    new FileSystemError('FileNotADirectory', about);
  static FileIsADirectory = (about: Uri | string) => new FileSystemError('FileIsADirectory', about);
}

export const ProgressLocation = { SourceControl: 1, Window: 10, Notification: 15 } as const;
export const ConfigurationTarget = { Global: 1, Workspace: 2, WorkspaceFolder: 3 } as const;
export const QuickInputButtons = { Back: { tooltip: 'Back' } } as const;
export const InputBoxValidationSeverity = { Info: 1, Warning: 2, Error: 3 } as const;
export const QuickPickItemKind = { Separator: -1, Default: 0 } as const;

/** A view as `createTreeView` makes it; tests set `visible` and fire its events. */
class FakeTreeView {
  visible = true;
  message: string | undefined;
  description: string | undefined;
  badge: { value: number; tooltip: string } | undefined;
  readonly revealed: unknown[] = [];
  readonly visibility = new EventEmitter<{ visible: boolean }>();
  readonly collapsed = new EventEmitter<{ element: unknown }>();
  readonly expanded = new EventEmitter<{ element: unknown }>();
  readonly onDidChangeVisibility = this.visibility.event;
  readonly onDidCollapseElement = this.collapsed.event;
  readonly onDidExpandElement = this.expanded.event;
  reveal(row: unknown): Promise<void> {
    this.revealed.push(row);
    return Promise.resolve();
  }
  dispose(): void {
    this.visible = false;
  }
}

/** What a user does with an open input: types, chooses, goes back. */
class FakeQuickInput {
  title: string | undefined;
  step: number | undefined;
  totalSteps: number | undefined;
  prompt: string | undefined;
  placeholder: string | undefined;
  value = '';
  validationMessage: unknown;
  busy = false;
  enabled = true;
  ignoreFocusOut = false;
  matchOnDescription = false;
  matchOnDetail = false;
  buttons: readonly unknown[] = [];
  items: readonly { readonly label: string }[] = [];
  activeItems: readonly unknown[] = [];
  selectedItems: readonly unknown[] = [];
  private readonly changedValue = new EventEmitter<string>();
  private readonly accepted = new EventEmitter<undefined>();
  private readonly hidden = new EventEmitter<undefined>();
  private readonly pressed = new EventEmitter<unknown>();
  readonly onDidChangeValue = this.changedValue.event;
  readonly onDidAccept = this.accepted.event;
  readonly onDidHide = this.hidden.event;
  readonly onDidTriggerButton = this.pressed.event;
  private isOpen = false;

  show(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    fake.opened(this);
  }
  hide(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.hidden.fire(undefined);
  }
  dispose(): void {
    this.hide();
  }

  type(value: string): void {
    this.value = value;
    this.changedValue.fire(value);
  }
  accept(): void {
    this.accepted.fire(undefined);
  }
  choose(label: RegExp): void {
    const item = this.items.find((candidate) => label.test(candidate.label));
    if (item === undefined) {
      throw new Error(`no ${label} among ${this.items.map((known) => known.label).join(', ')}`);
    }
    this.activeItems = [item];
    this.selectedItems = [item];
    this.accept();
  }
  press(button: unknown): void {
    this.pressed.fire(button);
  }
}

export type { FakeQuickInput, FakeTreeView };

/** What a test asks of a tree as VS Code does. */
interface FakeTreeRows {
  onDidChangeTreeData?: (listener: (row: never) => unknown) => unknown;
  getChildren(row?: never): unknown;
  getTreeItem(row: never): unknown;
}

/** One message with its buttons, as the user saw it. */
export interface FakeMessage {
  readonly text: string;
  readonly detail: string | undefined;
  readonly choices: readonly string[];
}

export interface FakeItem {
  readonly label: string;
  readonly description?: string;
  readonly kind?: number;
}

class FakeUser {
  readonly views = new Map<string, FakeTreeView>();
  /** What gives the rows of each view. */
  readonly trees = new Map<string, FakeTreeRows>();
  readonly contexts = new Map<string, unknown>();
  readonly executed: (readonly unknown[])[] = [];
  readonly messages: FakeMessage[] = [];
  readonly settings = new Map<string, unknown>();
  /** Seen by `inspect` only. */
  readonly workspaceSettings = new Map<string, unknown>();
  clipboard = '';
  /** Documents that are open, and providers of their text by scheme. */
  readonly documents: { readonly uri: Uri }[] = [];
  readonly providers = new Map<string, unknown>();
  readonly changedSettings = new EventEmitter<{ affectsConfiguration(key: string): boolean }>();
  readonly decorations: { provideFileDecoration(uri: Uri): unknown }[] = [];
  /** Called with each quick input when it opens, in order. */
  inputs: ((input: FakeQuickInput) => unknown)[] = [];
  /** Chooses among a message's buttons; undefined closes it. */
  answer: (message: FakeMessage) => string | undefined = () => undefined;
  /** The items of the last `showQuickPick`. */
  offered: readonly FakeItem[] = [];
  /** Chooses among the items of `showQuickPick`. */
  pick: (labels: readonly string[]) => string | undefined = () => undefined;

  reset(): void {
    const { views, trees, contexts, settings, workspaceSettings, providers } = this;
    for (const known of [views, trees, contexts, settings, workspaceSettings, providers]) {
      known.clear();
    }
    for (const list of [
      this.executed,
      this.messages,
      this.decorations,
      this.inputs,
      this.documents,
    ]) {
      list.length = 0;
    }
    this.clipboard = '';
    this.answer = () => undefined;
    this.pick = () => undefined;
  }

  /** As the user changes a setting. */
  set(key: string, value: unknown): void {
    this.settings.set(key, value);
    this.changedSettings.fire({ affectsConfiguration: (asked) => key.startsWith(asked) });
  }

  opened(input: FakeQuickInput): void {
    const next = this.inputs.shift();
    setImmediate(() => (next === undefined ? input.hide() : next(input)));
  }

  message(text: string, rest: readonly unknown[]): Promise<unknown> {
    const [first] = rest;
    const options =
      typeof first === 'object' && first !== null && 'modal' in first ? first : undefined;
    const items = options === undefined ? rest : rest.slice(1);
    const titleOf = (item: unknown): string =>
      typeof item === 'string' ? item : (item as { title: string }).title;
    const detail = (options as { detail?: string } | undefined)?.detail;
    const message = { text, detail, choices: items.map(titleOf) };
    this.messages.push(message);
    const chosen = this.answer(message);
    return Promise.resolve(items.find((item) => titleOf(item) === chosen));
  }
}

export const fake = new FakeUser();

export const commands = {
  executeCommand(command: string, ...args: unknown[]): Promise<undefined> {
    if (command === 'setContext') fake.contexts.set(args[0] as string, args[1]);
    else fake.executed.push([command, ...args]);
    return Promise.resolve(undefined);
  },
};

export const env = {
  clipboard: {
    writeText(text: string): Promise<void> {
      fake.clipboard = text;
      return Promise.resolve();
    },
  },
};

export const window = {
  state: { focused: true },
  activeTextEditor: undefined,
  showTextDocument(shown: Uri | { readonly uri: Uri }): Promise<void> {
    fake.documents.push('uri' in shown ? shown : { uri: shown });
    return Promise.resolve();
  },
  showOpenDialog(options: unknown): Promise<undefined> {
    fake.executed.push(['showOpenDialog', options]);
    return Promise.resolve(undefined);
  },
  createTreeView(id: string, options?: { readonly treeDataProvider: FakeTreeRows }): FakeTreeView {
    const view = new FakeTreeView();
    if (options !== undefined) fake.trees.set(id, options.treeDataProvider);
    fake.views.set(id, view);
    return view;
  },
  registerFileDecorationProvider(provider: {
    provideFileDecoration(uri: Uri): unknown;
  }): Disposable {
    fake.decorations.push(provider);
    return new Disposable(() => undefined);
  },
  createQuickPick: (): FakeQuickInput => new FakeQuickInput(),
  createInputBox: (): FakeQuickInput => new FakeQuickInput(),
  showQuickPick<T extends FakeItem>(
    items: readonly T[],
    options: { readonly canPickMany?: boolean } = {},
  ): Promise<T | T[] | undefined> {
    fake.offered = items;
    const chosen = fake.pick(items.map(({ label }) => label));
    if (chosen === undefined) return Promise.resolve(undefined);
    const found = items.filter(({ label }) => label === chosen);
    return Promise.resolve(options.canPickMany === true ? found : found[0]);
  },
  showInformationMessage: (text: string, ...rest: unknown[]) => fake.message(text, rest),
  showWarningMessage: (text: string, ...rest: unknown[]) => fake.message(text, rest),
  showErrorMessage: (text: string, ...rest: unknown[]) => fake.message(text, rest),
  withProgress<R>(
    _options: unknown,
    task: (
      progress: { report(step: unknown): void },
      token: {
        isCancellationRequested: boolean;
        onCancellationRequested: (l: () => void) => Disposable;
      },
    ) => Promise<R>,
  ): Promise<R> {
    return task(
      { report: () => undefined },
      {
        isCancellationRequested: false,
        onCancellationRequested: () => new Disposable(() => undefined),
      },
    );
  },
};

export const languages = {
  registerCodeLensProvider: () => new Disposable(() => undefined),
  registerHoverProvider: () => new Disposable(() => undefined),
  registerFoldingRangeProvider: () => new Disposable(() => undefined),
  registerDocumentLinkProvider: () => new Disposable(() => undefined),
};

export const workspace = {
  isTrusted: true,
  get textDocuments() {
    return fake.documents;
  },
  onDidChangeConfiguration: fake.changedSettings.event,
  onDidOpenTextDocument: () => new Disposable(() => undefined),
  openTextDocument(uri: Uri): Promise<{ readonly uri: Uri }> {
    return Promise.resolve({ uri });
  },
  registerTextDocumentContentProvider(scheme: string, provider: unknown): Disposable {
    fake.providers.set(scheme, provider);
    return new Disposable(() => fake.providers.delete(scheme));
  },
  registerFileSystemProvider(scheme: string, provider: unknown): Disposable {
    fake.providers.set(scheme, provider);
    return new Disposable(() => fake.providers.delete(scheme));
  },
  getConfiguration: (section: string) => ({
    get: (key: string) => fake.settings.get(`${section}.${key}`),
    inspect: (key: string) => ({
      globalValue: fake.settings.get(`${section}.${key}`),
      workspaceValue: fake.workspaceSettings.get(`${section}.${key}`),
    }),
    update: (key: string, value: unknown) => {
      fake.set(`${section}.${key}`, value);
      return Promise.resolve();
    },
  }),
};
