// One question to the logs of many nodes. The search runs on the nodes: only the lines of entries that may
// match travel here, where they are parsed, sieved exactly, and merged.

import { mapBounded, withDeadline } from '../base/async.ts';
import { toDisplay } from '../base/displayText.ts';
import { isAbort, UserError } from '../base/errors.ts';
import { probeSource } from '../probe/sources.ts';
import type { ClockOffset, Node, NodeAccess, NodeFailure } from '../remote/node.ts';
import type { RemoteCommand, RemoteProcess } from '../remote/shell.ts';
import { Assembler } from './assemble.ts';
import { startsPattern } from './detect.ts';
import type { LogEntry, MergedEntry } from './logEntry.ts';
import { mergeEntries, sortTimes } from './merge.ts';
import { checkQuery, matches, needles, type LogQuery } from './query.ts';
import { SearchOutputReader, type SearchOutputPart } from './searchOutput.ts';
import { clockUnknown, fileWarning, noSources, toFailure } from './sources.ts';
import { parseZone } from './timestamp.ts';

export interface SearchLimits {
  /** A node's search ends after this much output; the oldest entries of the first files are then kept. */
  readonly bytesPerNode: number;
  /** Lines read from the end of each file when nothing is searched for. */
  readonly linesPerFile: number;
  readonly filesPerNode: number;
  readonly timeoutMs: number;
  /** Nodes asked at the same time. */
  readonly nodesAtOnce: number;
}

export const defaultSearchLimits: SearchLimits = {
  bytesPerNode: 16 << 20,
  linesPerFile: 500,
  filesPerNode: 1000,
  timeoutMs: 300_000,
  nodesAtOnce: 16,
};

export interface SearchProgress {
  readonly node: string;
  /** Files read so far. */
  readonly files: number;
  /** Entries found so far; while the search goes on, those that may yet be sieved out are counted too. */
  readonly entries: number;
  readonly isDone: boolean;
}

export interface SearchOptions {
  readonly limits?: Partial<SearchLimits>;
  readonly onProgress?: (progress: SearchProgress) => void;
}

/** Something that a reader of the result should know: one sentence, safe to show. */
export interface LogWarning {
  readonly node: string;
  readonly message: string;
}

export interface SearchResult {
  readonly query: LogQuery;
  /** In corrected order. */
  readonly entries: readonly MergedEntry[];
  readonly asked: readonly string[];
  /** Nodes that could not answer, or not to the end; what they sent until then is among the entries. */
  readonly missing: readonly { readonly node: string; readonly failure: NodeFailure }[];
  readonly clocks: readonly { readonly node: string; readonly clock: ClockOffset }[];
  readonly warnings: readonly LogWarning[];
  /** Nodes that had more matching lines than the byte limit lets travel. */
  readonly truncated: readonly string[];
}

/** A node's part of the result. `files` holds each file's matching entries in the file's order. */
interface NodeAnswer {
  readonly files: readonly (readonly LogEntry[])[];
  readonly clock: ClockOffset | undefined;
  readonly warnings: readonly LogWarning[];
  readonly isTruncated: boolean;
  /** Why the answer is not whole. */
  readonly failure: NodeFailure | undefined;
}

/** Asks all nodes at once. A node that fails is `missing` and does not hold up or end the others. */
export async function searchNodes(
  access: NodeAccess,
  nodes: readonly Node[],
  query: LogQuery,
  options: SearchOptions = {},
  signal?: AbortSignal,
): Promise<SearchResult> {
  checkQuery(query);
  const limits = { ...defaultSearchLimits, ...options.limits };
  const settled = await mapBounded(nodes, limits.nodesAtOnce, async (node) => {
    const answer = await searchNode(access, node, query, limits, options.onProgress, signal).catch(
      failedAnswer,
    );
    const entries = answer.files.reduce((sum, file) => sum + file.length, 0);
    options.onProgress?.({ node: node.name, files: answer.files.length, entries, isDone: true });
    return answer;
  });
  signal?.throwIfAborted();
  const answers = settled.map((result) =>
    result.status === 'fulfilled' ? result.value : failedAnswer(result.reason),
  );
  const named = answers.map((answer, index) => ({ ...answer, node: nodes[index]!.name }));
  return {
    query,
    entries: mergeEntries(answers.flatMap(({ files }) => files)),
    asked: nodes.map(({ name }) => name),
    missing: named.flatMap(({ node, failure }) =>
      failure === undefined ? [] : [{ node, failure }],
    ),
    clocks: named.flatMap(({ node, clock }) => (clock === undefined ? [] : [{ node, clock }])),
    warnings: answers.flatMap(({ warnings }) => warnings),
    truncated: named.filter(({ isTruncated }) => isTruncated).map(({ node }) => node),
  };
}

function failedAnswer(error: unknown): NodeAnswer {
  return {
    files: [],
    clock: undefined,
    warnings: [],
    isTruncated: false,
    failure: toFailure(error),
  };
}

async function searchNode(
  access: NodeAccess,
  node: Node,
  query: LogQuery,
  limits: SearchLimits,
  onProgress: SearchOptions['onProgress'],
  signal: AbortSignal | undefined,
): Promise<NodeAnswer> {
  if (node.logs.length === 0) throw noSources(node);
  const shell = await access.shell(node, signal);
  const command = searchCommand(query, node.logs, limits, Date.now());
  const program = await shell.start(command, { guard: true }, signal);
  try {
    // The clock is usually known; if not, it is measured while the node is already searching.
    const clock = access.clock(node, signal).catch((error: unknown) => {
      if (isAbort(error)) throw error;
      return undefined;
    });
    const answer = readAnswer(program, node, query, limits, clock, onProgress);
    return await withDeadline(answer, limits.timeoutMs, () => tooSlow(node, limits.timeoutMs));
  } finally {
    program.dispose();
  }
}

function tooSlow(node: Node, timeoutMs: number): UserError {
  return new UserError(
    'node.timeout',
    `The log search on ${node.name} did not end within ${timeoutMs / 1000} s and was stopped.`,
    { hint: 'Name fewer or smaller files in "logs", or search a shorter time.' },
  );
}

/** How much of each file's end is read when `since` is given without anything to search for. */
const endBytes = 4 << 20;

export function searchCommand(
  query: LogQuery,
  globs: readonly string[],
  limits: SearchLimits,
  now: number,
): RemoteCommand {
  const wanted = needles(query);
  const isAimed = query.contextId !== undefined || query.text !== undefined;
  const end = query.since === undefined ? `-n${limits.linesPerFile}` : `-c${endBytes}`;
  // An age and not a time: the node's clock may be off. One minute more, as find rounds.
  const minutes =
    query.since === undefined
      ? ''
      : String(Math.max(0, Math.ceil((now - query.since) / 60_000)) + 1);
  return {
    title: 'Search logs',
    script: probeSource('sh/logSearch.sh'),
    args: [
      wanted.join('\n'),
      isAimed ? '' : end,
      minutes,
      String(limits.filesPerNode),
      startsPattern,
      probeSource('sh/logSearch.awk'),
      ...globs,
    ],
  };
}

/** Reads all that the node prints; stops the search when it is more than the limit. */
async function readAnswer(
  program: RemoteProcess,
  node: Node,
  query: LogQuery,
  limits: SearchLimits,
  clock: Promise<ClockOffset | undefined>,
  onProgress: SearchOptions['onProgress'],
): Promise<NodeAnswer> {
  const errorText = readErrorText(program);
  const reader = new SearchOutputReader();
  const collector = new AnswerCollector(node, query, await clock, onProgress);
  let bytes = 0;
  for await (const chunk of program.stdout as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    for (const part of reader.push(chunk)) collector.take(part);
    if (bytes > limits.bytesPerNode) {
      return { ...collector.finish(), isTruncated: true, failure: undefined };
    }
  }
  const answer = collector.finish();
  if (collector.isDone) return { ...answer, isTruncated: false, failure: undefined };
  const { exitCode, signal } = await program.exited;
  // A login shell that runs nothing says why before the program would have begun.
  const said = (await errorText) || (program.noise?.() ?? '');
  const failure = toFailure(endedEarly(node, exitCode ?? signal, said));
  return { ...answer, isTruncated: false, failure };
}

function endedEarly(node: Node, how: number | string | undefined, errorText: string): UserError {
  const [firstLine = ''] = errorText.trim().split('\n');
  const said = firstLine === '' ? '' : ` It said: ${toDisplay(firstLine, 200)}`;
  return how === undefined
    ? new UserError('log.connectionLost', `The connection to ${node.name} was lost in the search.`)
    : new UserError(
        'log.searchEnded',
        `The log search on ${node.name} ended before it was done (${how}).${said}`,
      );
}

/** The first bytes of stderr; the rest is read and dropped, or the program would wait for a reader. */
async function readErrorText(program: RemoteProcess): Promise<string> {
  let text = '';
  try {
    for await (const chunk of program.stderr as AsyncIterable<Buffer>) {
      if (text.length < 4096) text += chunk.toString('utf8');
    }
  } catch {
    // The channel was closed; what came until then is all there is to tell.
  }
  return text;
}

/** Notes and lines of one node → the matching entries of each file. */
class AnswerCollector {
  private readonly node: Node;
  private readonly query: LogQuery;
  private readonly clock: ClockOffset | undefined;
  private readonly onProgress: SearchOptions['onProgress'];
  private readonly files: LogEntry[][] = [];
  private readonly warnings: LogWarning[] = [];
  private zone = 0;
  private source = '';
  private isCut = false;
  private current: LogEntry[] = [];
  private assembler: Assembler | undefined;
  private lastLine: number | undefined;
  private entryCount = 0;
  isDone = false;

  constructor(
    node: Node,
    query: LogQuery,
    clock: ClockOffset | undefined,
    onProgress: SearchOptions['onProgress'],
  ) {
    this.node = node;
    this.query = query;
    this.clock = clock;
    this.onProgress = onProgress;
    if (clock === undefined) {
      this.warn(clockUnknown(node));
    }
  }

  take(part: SearchOutputPart): void {
    if (part.kind === 'line') {
      if (part.line.line !== undefined && part.line.line - 1 !== this.lastLine) this.endEntry();
      this.lastLine = part.line.line;
      this.keep(this.assembler?.push(part.line));
      return;
    }
    switch (part.letter) {
      case 'Z':
        this.zone = parseZone(part.text);
        break;
      case 'F':
        this.startFile(part.text);
        break;
      case 'C':
        this.isCut = true;
        break;
      case 'W':
        this.warnOfFile(part.text);
        break;
      case 'D':
        this.isDone = true;
        break;
      default:
        // A later version's note, or a hostile node's: nothing we act on.
        break;
    }
  }

  finish(): Pick<NodeAnswer, 'files' | 'clock' | 'warnings'> {
    this.endFile();
    return { files: this.files, clock: this.clock, warnings: this.warnings };
  }

  private startFile(source: string): void {
    this.endFile();
    this.source = source;
    const { node, zone, clock } = this;
    this.assembler = new Assembler({ node: node.name, source, zone, clock });
    this.report();
  }

  private endFile(): void {
    this.endEntry();
    if (this.assembler === undefined) return;
    this.warnOfCut();
    this.files.push(this.sieve(this.current));
    this.current = [];
    this.isCut = false;
    this.lastLine = undefined;
    this.assembler = undefined;
  }

  private endEntry(): void {
    this.keep(this.assembler?.flush());
  }

  private keep(entry: LogEntry | undefined): void {
    if (entry === undefined) return;
    this.current.push(entry);
    this.entryCount++;
    if (this.entryCount % 1000 === 0) this.report();
  }

  private sieve(entries: readonly LogEntry[]): LogEntry[] {
    const times = sortTimes(entries);
    return entries.filter((entry, index) => matches(entry, this.query, times[index]));
  }

  private warnOfCut(): void {
    const { since } = this.query;
    const [firstTime] = sortTimes(this.current);
    if (!this.isCut || since === undefined || firstTime === undefined || firstTime <= since) return;
    this.warn(
      `${toDisplay(this.source)} on ${this.node.name} has more lines since then than were read: ` +
        `only its last ${endBytes >> 20} MiB were. Search for a text or a context id to see all.`,
    );
  }

  private warnOfFile(text: string): void {
    const blank = text.indexOf(' ');
    const kind = text.slice(0, blank);
    const warning = fileWarning(kind, text.slice(blank + 1), this.node.name);
    if (warning !== undefined) this.warn(warning);
  }

  private warn(message: string): void {
    if (this.warnings.length < maxWarnings) this.warnings.push({ node: this.node.name, message });
  }

  private report(): void {
    this.onProgress?.({
      node: this.node.name,
      files: this.files.length,
      entries: this.entryCount,
      isDone: false,
    });
  }
}

const maxWarnings = 100;
