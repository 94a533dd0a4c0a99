// The log of remote commands as text: one as a document, all as a list. Arguments are a user's or a node's words:
// nothing in them is left that could act instead of being seen.

import { toDisplay, toDisplayLines } from '../base/displayText.ts';
import { formatBytes, formatCount, formatDuration } from '../base/figures.ts';
import { formatIso, formatTime, type EpochMs } from '../base/time.ts';
import type { CommandEntry, CommandLog, CommandTotals } from './commandLog.ts';

/** `42 commands · 1.20 MiB · 3 failed` */
export function describeTotals(totals: Omit<CommandTotals, 'node'>): string {
  return [
    formatCount(totals.count, 'command', 'commands'),
    formatBytes(totals.bytesSent + totals.bytesReceived),
    ...(totals.failed > 0 ? [`${totals.failed} failed`] : []),
    ...(totals.running > 0 ? [`${totals.running} running`] : []),
  ].join(' · ');
}

/** `exit 0`, `SIGKILL`, `closed`: how it ended, as far as it was heard of. */
export function describeExit({ durationMs, exit, bytesSent, bytesReceived }: CommandEntry): string {
  if (durationMs === undefined) return 'running';
  // We gave up: it took too long, printed too much, or was cancelled.
  if (exit === undefined) return bytesSent + bytesReceived > 0 ? 'given up' : 'not started';
  if (exit.signal !== undefined) return toDisplay(exit.signal, 40);
  return exit.exitCode === undefined ? 'closed' : `exit ${exit.exitCode}`;
}

/** `12.3 ms · sent 1.20 KiB, received 340 bytes · exit 0` */
export function describeCost(entry: CommandEntry): string {
  return [
    ...(entry.durationMs === undefined ? [] : [formatDuration(entry.durationMs)]),
    `sent ${formatBytes(entry.bytesSent)}, received ${formatBytes(entry.bytesReceived)}`,
    describeExit(entry),
  ].join(' · ');
}

/** Everything that is known of one command; its text is the literal one. */
export function commandDocument(
  entry: CommandEntry,
  showTime: (time: EpochMs) => string = (time) => formatTime(time, 'utc'),
): string {
  const { title, node, kind, script, args, program } = entry;
  const head = [
    `${title}`,
    `on ${toDisplay(node, 200)}, begun ${showTime(entry.startedAt)}`,
    describeCost(entry),
    ...(kind === 'terminal' ? ['A terminal: what was typed and shown is not kept.'] : []),
    ...(script === ''
      ? []
      : [
          args.length === 0
            ? "Run by the node's /bin/sh:"
            : "Run by the node's /bin/sh with the arguments that stand below it:",
        ]),
  ];
  const parts = [head.map((line) => `# ${line}`).join('\n')];
  if (script !== '') parts.push(withoutEdges(script));
  if (args.length > 0) {
    parts.push(args.map((arg, index) => argumentLines(index + 1, arg)).join('\n'));
  }
  if (program !== '') {
    parts.push('# It is sent this program on its input:', withoutEdges(program));
  }
  return `${parts.join('\n\n')}\n`;
}

/** Without the empty lines around it. */
function withoutEdges(text: string): string {
  return toDisplayLines(text.replace(/^\n+|\n+$/g, ''));
}

/** As comments, so that no argument can be taken for a part of the program. */
function argumentLines(number: number, arg: string): string {
  const [first = '', ...rest] = toDisplayLines(arg).split('\n');
  return [`# $${number} = ${first}`, ...rest.map((line) => `#      ${line}`)].join('\n');
}

/**
 * What was done to which node, for a terminal: the totals of each node, then its commands in the order in which
 * they began, one a line.
 */
export function commandList(log: CommandLog): string {
  const totals = log.totals();
  if (totals.length === 0) return 'No command was run on any node.\n';
  const lines = totals.flatMap((one) => [
    `${toDisplay(one.node, 200)}: ${describeTotals(one)}, ${formatDuration(one.durationMs)}`,
    ...log.entries(one.node).map(commandLine),
  ]);
  if (log.dropped > 0) {
    lines.push(`${formatCount(log.dropped, 'older command is', 'older commands are')} not listed.`);
  }
  return `${lines.join('\n')}\n`;
}

function commandLine(entry: CommandEntry): string {
  const { durationMs, bytesSent, bytesReceived } = entry;
  const columns = [
    formatIso(Math.round(entry.startedAt)).slice(11),
    (durationMs === undefined ? '' : formatDuration(durationMs)).padStart(10),
    `↑ ${formatBytes(bytesSent)}`.padStart(12),
    `↓ ${formatBytes(bytesReceived)}`.padStart(12),
    describeExit(entry).padEnd(7),
    entry.title,
  ];
  return `  ${columns.join('  ')}`;
}

/** A command as `--json` prints it: a stable contract, to which keys are only added. */
export function commandToJson(entry: CommandEntry): Readonly<Record<string, unknown>> {
  return {
    node: entry.node,
    kind: entry.kind,
    title: entry.title,
    script: entry.script,
    args: entry.args,
    program: entry.program === '' ? null : entry.program,
    startedAt: formatIso(entry.startedAt),
    durationMs: entry.durationMs === undefined ? null : Math.round(entry.durationMs * 1000) / 1000,
    bytesSent: entry.bytesSent,
    bytesReceived: entry.bytesReceived,
    exitCode: entry.exit?.exitCode ?? null,
    signal: entry.exit?.signal ?? null,
  };
}
