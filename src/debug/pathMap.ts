// The one place where paths are mapped: what the adapter on the node calls a file ↔ what the editor calls it.
// A file of the node is `faultline://<node>/<path>` in the editor, or a file of the workspace when a mapping
// says so and the workspace has it.

import { isAbsolute, join, posix, relative, sep } from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { toDisplay } from '../base/displayText.ts';
import { formatNodeUri, parseNodeUri, type NodePath } from '../remote/nodeFiles.ts';

/** A directory of the workspace that holds the same files as one on the node. Both are absolute. */
export interface LocalMapping {
  readonly local: string;
  readonly remote: string;
}

/** What a file of the editor is on the session's node. */
export type MappedPath =
  | { readonly kind: 'here'; readonly path: NodePath }
  | { readonly kind: 'otherNode'; readonly node: string }
  /** A file of this machine that no mapping names. */
  | { readonly kind: 'unmapped' };

export class PathMap {
  private readonly node: string;
  private readonly mappings: readonly LocalMapping[];
  private readonly hasLocalFile: (path: string) => boolean;

  /** `hasLocalFile` says whether this machine has the file; without mappings it is never asked. */
  constructor(
    node: string,
    mappings: readonly LocalMapping[] = [],
    hasLocalFile: (path: string) => boolean = () => false,
  ) {
    this.node = node;
    // The longest directory that matches decides.
    this.mappings = mappings
      .filter(({ local, remote }) => isAbsolute(local) && posix.isAbsolute(remote))
      .toSorted((a, b) => b.remote.length - a.remote.length);
    this.hasLocalFile = hasLocalFile;
  }

  /** What the editor calls the node's file: its address, or a mapped file of this machine. */
  toClient(path: NodePath): string {
    for (const mapping of this.mappings) {
      const local = localFile(path, mapping);
      if (local !== undefined && this.hasLocalFile(local)) return local;
    }
    return formatNodeUri({ node: this.node, path });
  }

  toNode(clientPath: string): MappedPath {
    const address = parseNodeUri(clientPath);
    if (address !== undefined) {
      return address.node === this.node
        ? { kind: 'here', path: address.path }
        : { kind: 'otherNode', node: address.node };
    }
    for (const mapping of this.mappings) {
      const path = remoteFile(clientPath, mapping);
      if (path !== undefined) return { kind: 'here', path };
    }
    return { kind: 'unmapped' };
  }

  /**
   * The message's body with every source in it as the editor may see it. An absolute path is mapped; all
   * else that an adapter may say (`http:`, `command:`, `\\server\share`, a relative path) becomes a label
   * that the editor cannot open.
   */
  sourcesToClient(body: unknown): unknown {
    if (Array.isArray(body)) return body.map((item) => this.sourcesToClient(item));
    if (!isObject(body)) return body;
    return Object.fromEntries(
      Object.entries(body).map(([key, value]) => [
        key,
        sourceKeys.has(key) ? this.mapSources(value) : this.sourcesToClient(value),
      ]),
    );
  }

  private mapSources(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.mapSources(item));
    return isObject(value) ? this.mapSource(value) : undefined;
  }

  private mapSource(source: Readonly<Record<string, unknown>>): DebugProtocol.Source {
    const { path, name, sourceReference, adapterData, origin, presentationHint } = source;
    const label = typeof name === 'string' ? name : typeof path === 'string' ? path : '';
    const common = {
      name: safeLabel(label),
      ...(typeof origin === 'string' ? { origin: toDisplay(origin, 200) } : {}),
      ...(isHint(presentationHint) ? { presentationHint } : {}),
      ...(adapterData === undefined ? {} : { adapterData }),
    };
    // The editor asks the adapter for the text of a source with a reference and opens no file for it.
    if (typeof sourceReference === 'number' && sourceReference > 0) {
      return { ...common, sourceReference, ...(typeof path === 'string' ? { path } : {}) };
    }
    if (typeof path === 'string' && path.startsWith('/')) {
      // debugpy names a source by its whole path.
      const shown = posix.basename(label === '' ? path : label);
      return { ...common, name: safeLabel(shown), path: this.toClient(path) };
    }
    return common;
  }
}

/** Where the protocol has sources: one, or several (`loadedSources`, parts of a source). */
const sourceKeys: ReadonlySet<string> = new Set(['source', 'sources', 'location']);

const maxLabelLength = 200;

/**
 * VS Code takes the name of a source without a path for its address: a name that could be one, or a path of
 * this machine, is put in angle brackets.
 */
function safeLabel(text: string): string {
  const label = toDisplay(text, maxLabelLength);
  return /[/\\:]/.test(label) && !/^<.*>$/.test(label) ? `<${label}>` : label;
}

function isHint(value: unknown): value is DebugProtocol.Source['presentationHint'] {
  return value === 'normal' || value === 'emphasize' || value === 'deemphasize';
}

function localFile(path: NodePath, { local, remote }: LocalMapping): string | undefined {
  const inside = posix.relative(remote, posix.normalize(path));
  if (!isInside(inside, (name) => posix.isAbsolute(name))) return undefined;
  // A name with a backslash or a colon is one name on the node, but a path or a drive on Windows.
  if (sep === '\\' && /[\\:]/.test(inside)) return undefined;
  // Bytes that are not UTF-8 cannot be named here.
  if (/[\0\ud800-\udfff]/u.test(inside)) return undefined;
  return join(local, ...inside.split('/'));
}

function remoteFile(path: string, { local, remote }: LocalMapping): NodePath | undefined {
  if (!isAbsolute(path)) return undefined;
  const inside = relative(local, path);
  return isInside(inside, (name) => isAbsolute(name))
    ? posix.join(remote, ...inside.split(sep))
    : undefined;
}

function isInside(path: string, isAbsolutePath: (path: string) => boolean): boolean {
  return path !== '' && !/^\.\.(?:[/\\]|$)/.test(path) && !isAbsolutePath(path);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
