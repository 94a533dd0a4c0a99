// What can be wrong with a node's log files, as sentences.

import { toDisplay } from '../base/displayText.ts';
import { describeError, UserError } from '../base/errors.ts';
import type { Node, NodeFailure } from '../remote/node.ts';

export function noSources(node: Node): UserError {
  return new UserError('log.noSources', `${node.name} has no log files configured.`, {
    hint: `Add "logs": ["/path/*.log"] to it in "faultline.nodes".`,
  });
}

export function clockUnknown(node: Node): string {
  return `The clock of ${node.name} could not be measured: its times are not corrected.`;
}

const texts: Readonly<Record<string, (path: string, node: string) => string>> = {
  missing: (path, node) => `No file matches ${path} on ${node}, or its folder may not be read.`,
  notFile: (path, node) => `${path} on ${node} is not a file and was left out.`,
  unreadable: (path, node) => `${path} on ${node} may not be read by this user and was left out.`,
  tooMany: (path, node) => `${path} matches too many files on ${node}: the rest was left out.`,
  compressed: (path, node) =>
    `${path} on ${node} is compressed and was left out: search for a text or a context id to include it.`,
  corrupt: (path, node) =>
    `${path} on ${node} could not be unpacked to its end: it is damaged, or the node lacks the tool.`,
  binary: (path, node) => `Lines of ${path} on ${node} hold binary data and were left out.`,
  failed: (path, node) => `${path} on ${node} could not be read to its end.`,
};

/**
 * What a program on the node noted of a file it did not read, or not wholly: one sentence, safe to show;
 * undefined for a kind that we do not know.
 */
export function fileWarning(kind: string, path: string, node: string): string | undefined {
  return Object.hasOwn(texts, kind) ? texts[kind]!(toDisplay(path), node) : undefined;
}

const gapTexts: Readonly<Record<string, (path: string, at: string, bytes: string) => string>> = {
  gone: (path) =>
    `${path} was deleted or moved away while the connection was lost: its last lines may be missing.`,
  replaced: (path) =>
    `${path} was truncated or replaced while the connection was lost: lines before that may be missing.`,
  compressed: (path, at, bytes) =>
    `${path} was compressed while the connection was lost: its last ${bytes} are in ${at} only. ` +
    'Search to see them.',
};

/** Why what was unread of a file is missing after the connection was lost: a sentence that is safe to show. */
export function gapText(gap: {
  readonly reason: string;
  readonly path: string;
  readonly at: string | undefined;
  readonly bytes: number | undefined;
}): string {
  const reason = Object.hasOwn(gapTexts, gap.reason) ? gap.reason : 'gone';
  const bytes = gap.bytes === undefined ? 'lines' : `${gap.bytes.toLocaleString('en')} bytes`;
  return gapTexts[reason]!(toDisplay(gap.path), toDisplay(gap.at ?? ''), bytes);
}

/** What can be told of an error; a bug keeps its message and gets a code of its own. */
export function toFailure(error: unknown): NodeFailure {
  return error instanceof UserError
    ? { code: error.code, message: error.message, hint: error.hint }
    : { code: 'log.failed', message: describeError(error), hint: undefined };
}
