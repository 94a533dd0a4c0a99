// faultline logs: one question to the logs of many nodes, or their lines as they are written.

import { parseArgs } from 'node:util';
import type { Writable } from 'node:stream';
import { asciiControls, toDisplay } from '../base/displayText.ts';
import { describeError } from '../base/errors.ts';
import type { Node } from '../remote/node.ts';
import { isTimeDisplay, timeDisplays, type TimeDisplay } from '../base/time.ts';
import { lateMark, orderUnknownMark } from '../log/entryText.ts';
import { LiveLog, type LiveItem, type LiveNode } from '../log/liveLog.ts';
import { isLevel, levels, toJson, type LogEntry, type MergedEntry } from '../log/logEntry.ts';
import { checkQuery, matches, type LogQuery } from '../log/query.ts';
import { entryRenderer } from '../log/render.ts';
import { searchNodes } from '../log/search.ts';
import { parseWhen } from '../log/timestamp.ts';
import { exitCodes, selectNodes, wrongUse, type CliCommand, type CliContext } from './context.ts';

/**
 * `faultline logs [NODE…] [--context ID] [--grep TEXT] [--since T] [--until T] [--level L] [--follow]
 *   [--time utc|local|node]`
 *
 * Prints entries in corrected order: as NDJSON with `--json`, else through pino-pretty, in colour on a
 * terminal. What a reader should know besides goes to stderr.
 */
export const logsCommand: CliCommand = async (args, context) => {
  const { names, query, isFollow, times } = parseLogArgs(args, Date.now());
  const nodes = chooseNodes(names, context.access.nodes);
  const write = entryWriter(context, times);
  return isFollow ? follow(nodes, query, write, context) : search(nodes, query, write, context);
};

interface LogArgs {
  readonly names: readonly string[];
  readonly query: LogQuery;
  readonly isFollow: boolean;
  /** In whose zone times are shown; JSON is in UTC always. */
  readonly times: TimeDisplay;
}

export function parseLogArgs(args: readonly string[], now: number): LogArgs {
  const { values, positionals } = parse(args);
  const {
    context: contextId,
    grep: text,
    level,
    follow: isFollow = false,
    time: times = 'utc',
  } = values;
  if (level !== undefined && !isLevel(level)) {
    throw wrongUse(`There is no level "${level}".`, `Levels are ${levels.join(', ')}.`);
  }
  if (isFollow && (values.since !== undefined || values.until !== undefined)) {
    throw wrongUse('--follow shows what is written from now on: leave --since and --until out.');
  }
  if (!isTimeDisplay(times)) {
    throw wrongUse(`--time "${times}" is no zone.`, `Write one of ${timeDisplays.join(', ')}.`);
  }
  const since = readTime('--since', values.since, now);
  const until = readTime('--until', values.until, now);
  const query: LogQuery = {
    ...(contextId === undefined ? {} : { contextId }),
    ...(text === undefined ? {} : { text }),
    ...(level === undefined ? {} : { level }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  };
  try {
    checkQuery(query);
  } catch (error) {
    throw wrongUse(describeError(error));
  }
  return { names: positionals, query, isFollow, times };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        context: { type: 'string' },
        grep: { type: 'string' },
        since: { type: 'string' },
        until: { type: 'string' },
        level: { type: 'string' },
        follow: { type: 'boolean' },
        time: { type: 'string' },
      },
    });
  } catch (error) {
    throw wrongUse(`faultline logs: ${describeError(error)}`);
  }
}

function readTime(option: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const time = parseWhen(text, now);
  if (time === undefined) {
    throw wrongUse(
      `${option} "${text}" is no time.`,
      'Write an age such as 10m or 2h, or 2026-11-22T06:17:54Z.',
    );
  }
  return time;
}

/** The named nodes, or all that have log files configured. */
function chooseNodes(names: readonly string[], nodes: readonly Node[]): readonly Node[] {
  if (names.length > 0) return selectNodes(names, nodes);
  const withLogs = nodes.filter(({ logs }) => logs.length > 0);
  if (withLogs.length > 0) return withLogs;
  throw wrongUse(
    'No node has log files configured.',
    'Add "logs": ["/path/*.log"] to a node in "faultline.nodes".',
  );
}

async function search(
  nodes: readonly Node[],
  query: LogQuery,
  write: EntryWriter,
  context: CliContext,
): Promise<number> {
  const result = await searchNodes(context.access, nodes, query, {}, context.signal);
  for (const entry of result.entries) {
    if (context.signal.aborted) break;
    await write(entry);
  }
  for (const { message } of result.warnings) say(context, message);
  for (const node of result.truncated) {
    say(
      context,
      `${node} has more matching lines than were read: search for less, or a shorter time.`,
    );
  }
  for (const { node, failure } of result.missing) {
    say(context, `${node} did not answer. ${describe(failure)}`);
  }
  return result.missing.length > 0 ? exitCodes.nodeMissing : exitCodes.done;
}

/** Until interrupted, or until no node is followed any more. */
async function follow(
  nodes: readonly Node[],
  query: LogQuery,
  write: EntryWriter,
  context: CliContext,
): Promise<number> {
  const live = new LiveLog(context.access);
  const failed = new Set<string>();
  let written = Promise.resolve();
  live.onDidAdd((items) => {
    written = written.then(() => writeItems(items, query, write, context));
  });
  const told = new Set<string>();
  const allEnded = new Promise<void>((resolve) => {
    live.onDidChangeNode((node) => {
      tellNode(node, told, context);
      if (node.state === 'failed') failed.add(node.node);
      if (failed.size === nodes.length) resolve();
    });
  });
  for (const node of nodes) live.start(node);
  await Promise.race([allEnded, aborted(context.signal)]);
  await live.stopAll();
  await written;
  live.dispose();
  return failed.size > 0 ? exitCodes.nodeMissing : exitCodes.done;
}

async function writeItems(
  items: readonly LiveItem[],
  query: LogQuery,
  write: EntryWriter,
  context: CliContext,
): Promise<void> {
  for (const item of items) {
    if (item.kind !== 'entry') say(context, `${item.node}: ${item.reason}`);
    else if (matches(item.entry, query)) await write(item.entry);
  }
}

/** Each warning and each failure once. */
function tellNode(
  { node, failure, warnings }: LiveNode,
  told: Set<string>,
  context: CliContext,
): void {
  const sentences = [
    ...warnings,
    ...(failure === undefined ? [] : [`${node}: ${describe(failure)}`]),
  ];
  for (const sentence of sentences) {
    if (told.has(sentence)) continue;
    told.add(sentence);
    say(context, sentence);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener('abort', () => resolve(), { once: true }),
  );
}

type PrintableEntry = LogEntry &
  Partial<Pick<MergedEntry, 'orderUnknown'>> & { readonly isLate?: boolean };
type EntryWriter = (entry: PrintableEntry) => Promise<void>;

function entryWriter({ stdout, json }: CliContext, times: TimeDisplay): EntryWriter {
  if (json) {
    return (entry) => {
      const record =
        entry.isLate === undefined ? toJson(entry) : { ...toJson(entry), late: entry.isLate };
      return writeTo(stdout, `${asciiControls(JSON.stringify(record))}\n`);
    };
  }
  const isTerminal = 'isTTY' in stdout && stdout.isTTY === true;
  const render = entryRenderer({ colorize: isTerminal && !process.env['NO_COLOR'], times });
  return (entry) => {
    const marks = [
      ...(entry.orderUnknown === true ? [orderUnknownMark] : []),
      ...(entry.isLate === true ? [lateMark] : []),
    ];
    return writeTo(stdout, `${render(entry, marks.join(' ')).join('\n')}\n`);
  };
}

/** Waits for a slow reader instead of gathering output in memory; ends with a reader that went away. */
function writeTo(stream: Writable, text: string): Promise<void> {
  if (stream.write(text) || stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'close', 'error']) stream.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'error']) stream.once(event, done);
  });
}

function describe({
  message,
  hint,
}: {
  readonly message: string;
  readonly hint: string | undefined;
}): string {
  return hint === undefined ? message : `${message} ${hint}`;
}

function say(context: CliContext, sentence: string): void {
  context.stderr.write(`faultline: ${toDisplay(sentence)}\n`);
}
