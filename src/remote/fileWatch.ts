// Whether files on nodes changed: asked every few seconds while somebody looks, all of a node's in one command,
// and only over a connection that is there anyway.

import { toDisposable, type Disposable } from '../base/disposable.ts';
import { Emitter } from '../base/emitter.ts';
import { versionsOfFiles, type NodeFileVersion, type NodePath } from './nodeFiles.ts';
import type { Shell } from './shell.ts';

export interface NodeFileChange {
  /** The node's name. */
  readonly node: string;
  readonly path: NodePath;
  readonly kind: 'created' | 'changed' | 'deleted';
}

export interface FileWatchOptions {
  /** The shell of a node that is connected now, by the node's name; never makes a connection. */
  readonly shellNow: (node: string) => Shell | undefined;
  /** False while nobody looks, e.g. because the window is in the background: then nothing is asked. */
  readonly isActive: () => boolean;
  /** Each round waits between the two, by chance. Default 2 to 5 s. */
  readonly minIntervalMs?: number;
  readonly maxIntervalMs?: number;
}

/** Further ones are not watched: an editor that restores very many files shall not burden a node. */
export const maxWatchedPaths = 100;

interface WatchedFile {
  watchers: number;
  /** Null until it was first seen: there is nothing yet to have changed. */
  version: NodeFileVersion | null;
}

interface WatchedNode {
  readonly files: Map<NodePath, WatchedFile>;
  timer: NodeJS.Timeout | undefined;
}

export class FileWatch implements Disposable {
  private readonly options: FileWatchOptions;
  private readonly nodes = new Map<string, WatchedNode>();
  private readonly changed = new Emitter<readonly NodeFileChange[]>();
  private isDisposed = false;

  readonly onDidChange = this.changed.event;

  constructor(options: FileWatchOptions) {
    this.options = options;
  }

  /** Until the result is disposed of. Watching the same path twice costs nothing. */
  watch(node: string, path: NodePath): Disposable {
    const watched: WatchedNode = this.nodes.get(node) ?? { files: new Map(), timer: undefined };
    this.nodes.set(node, watched);
    const file: WatchedFile = watched.files.get(path) ?? { watchers: 0, version: null };
    file.watchers++;
    watched.files.set(path, file);
    this.schedule(node, watched);
    return toDisposable(() => {
      file.watchers--;
      if (file.watchers > 0) return;
      watched.files.delete(path);
      if (watched.files.size > 0) return;
      clearTimeout(watched.timer);
      this.nodes.delete(node);
    });
  }

  dispose(): void {
    this.isDisposed = true;
    for (const { timer } of this.nodes.values()) clearTimeout(timer);
    this.nodes.clear();
    this.changed.dispose();
  }

  private schedule(node: string, watched: WatchedNode): void {
    if (this.isDisposed || watched.timer !== undefined) return;
    const { minIntervalMs = 2000, maxIntervalMs = 5000 } = this.options;
    const waitMs = minIntervalMs + Math.random() * (maxIntervalMs - minIntervalMs);
    watched.timer = setTimeout(() => void this.round(node, watched), waitMs);
  }

  private async round(node: string, watched: WatchedNode): Promise<void> {
    const shell = this.options.isActive() ? this.options.shellNow(node) : undefined;
    if (shell !== undefined) await this.look(node, watched, shell);
    watched.timer = undefined;
    if (this.nodes.get(node) === watched) this.schedule(node, watched);
  }

  private async look(node: string, watched: WatchedNode, shell: Shell): Promise<void> {
    const asked = [...watched.files].slice(0, maxWatchedPaths);
    let versions: readonly NodeFileVersion[];
    try {
      versions = await versionsOfFiles(
        shell,
        asked.map(([path]) => path),
      );
    } catch {
      // A busy node or a lost connection says nothing about the files: the next round asks again.
      return;
    }
    const changes: NodeFileChange[] = [];
    for (const [index, [path, file]] of asked.entries()) {
      const version = versions[index];
      if (file.version !== null && version !== file.version && file.watchers > 0) {
        const kind =
          version === undefined ? 'deleted' : file.version === undefined ? 'created' : 'changed';
        changes.push({ node, path, kind });
      }
      file.version = version;
    }
    if (changes.length > 0 && !this.isDisposed) this.changed.fire(changes);
  }
}
