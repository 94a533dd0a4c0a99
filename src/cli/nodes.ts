// faultline nodes [NODE…]: connects to each and tells its state, why, and its clock; with `--commands` also what
// was run on it for that, word by word.

import { mapBounded } from '../base/async.ts';
import { toDisplay } from '../base/displayText.ts';
import { isAbort, UserError } from '../base/errors.ts';
import { zoneMark } from '../base/time.ts';
import { commandDocument, commandToJson, describeTotals } from '../remote/commandText.ts';
import type { CommandLog } from '../remote/commandLog.ts';
import { formatReport, type ConnectionStep } from '../remote/connectionReport.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import {
  readClockFacts,
  type ClockFacts,
  type NodeZone,
  type SyncState,
} from '../remote/syncDaemon.ts';
import { exitCodes, print, selectNodes, type CliCommand } from './context.ts';

interface ClockReport {
  readonly offsetMs: number;
  readonly errorMs: number;
  /** Who keeps the node's clock right, as the node says; null when it could not be asked. */
  readonly sync: {
    readonly kind: SyncState['kind'];
    readonly synchronised: boolean | null;
    readonly offsetMs: number | null;
    readonly detail: string;
  } | null;
  readonly zone: {
    readonly offsetMinutes: number;
    readonly name: string | null;
    readonly abbreviation: string | null;
  } | null;
}

interface NodeReport {
  readonly name: string;
  readonly host: string;
  readonly labels: readonly string[];
  /** The group of the settings it stands in. */
  readonly group: string | null;
  readonly origin: Node['origin'];
  readonly state: 'ready' | 'failed';
  /** One sentence why, with the next step; null for a node that is ready. */
  readonly reason: string | null;
  readonly code: string | null;
  readonly clock: ClockReport | null;
  /** Every step on the way, with `--report`. */
  readonly steps?: readonly ConnectionStep[];
}

const maxConnections = 8;

export const nodesCommand: CliCommand = async (args, context) => {
  const wantsReport = args.includes('--report');
  const names = args.filter((word) => word !== '--report');
  const nodes = selectNodes(names, context.access.nodes);
  const asked = await mapBounded(nodes, maxConnections, (node) =>
    report(node, context.access, context.signal),
  );
  const reports = asked.map((result, index) => {
    const node = nodes[index]!;
    const told = result.status === 'fulfilled' ? result.value : failure(node, result.reason);
    const steps = wantsReport ? context.connectionReport?.(node)?.steps : undefined;
    return steps === undefined ? told : { ...told, steps };
  });
  const { commands } = context;
  const text = (): string =>
    reports.map((one, index) => describe(one) + stepsOf(nodes[index]!)).join('\n');
  const stepsOf = (node: Node): string => {
    const connection = wantsReport ? context.connectionReport?.(node) : undefined;
    return connection === undefined ? '' : `\n${formatReport(node.name, connection)}`;
  };
  if (commands === undefined) print(context, reports, text);
  else {
    const list = commands.entries().map(commandToJson);
    print(context, { nodes: reports, commands: list }, () => `${text()}\n\n${inFull(commands)}`);
  }
  return reports.some((node) => node.state === 'failed') ? exitCodes.nodeMissing : exitCodes.done;
};

async function report(node: Node, access: NodeAccess, signal: AbortSignal): Promise<NodeReport> {
  const clock = await access.clock(node, signal);
  const facts = await askClockFacts(node, access, signal);
  return {
    ...head(node),
    state: 'ready',
    reason: null,
    code: null,
    clock: {
      offsetMs: round(clock.offsetMs),
      errorMs: round(clock.errorMs),
      sync: facts === undefined ? null : syncReport(facts.sync),
      zone: facts?.zone === undefined ? null : zoneReport(facts.zone),
    },
  };
}

/** A node that answers its clock and not this is ready all the same. */
async function askClockFacts(
  node: Node,
  access: NodeAccess,
  signal: AbortSignal,
): Promise<ClockFacts | undefined> {
  try {
    return await readClockFacts(await access.shell(node, signal), signal);
  } catch (error) {
    if (isAbort(error)) throw error;
    return undefined;
  }
}

function syncReport({ kind, synchronised, offsetMs, detail }: SyncState): ClockReport['sync'] {
  return {
    kind,
    synchronised: synchronised ?? null,
    offsetMs: offsetMs === undefined ? null : round(offsetMs),
    detail,
  };
}

function zoneReport({ offsetMinutes, name, abbreviation }: NodeZone): ClockReport['zone'] {
  return { offsetMinutes, name: name ?? null, abbreviation: abbreviation ?? null };
}

function failure(node: Node, error: unknown): NodeReport {
  const reason = error instanceof Error ? error.message : String(error);
  const hint = error instanceof UserError && error.hint !== undefined ? ` ${error.hint}` : '';
  const code = error instanceof UserError ? error.code : 'node.failed';
  return { ...head(node), state: 'failed', reason: reason + hint, code, clock: null };
}

/** Every command with its literal text, then what it came to on each node. */
function inFull(commands: CommandLog): string {
  const documents = commands.entries().map((entry) => commandDocument(entry));
  const totals = commands
    .totals()
    .map((one) => `${toDisplay(one.node, 200)}: ${describeTotals(one)}`);
  return [...documents, totals.join('\n')].join('\n');
}

function head(node: Node): Pick<NodeReport, 'name' | 'host' | 'group' | 'labels' | 'origin'> {
  const { name, host, group = null, labels, origin } = node;
  return { name, host, group, labels, origin };
}

function describe(node: NodeReport): string {
  const clock = node.clock === null ? '' : describeClock(node.clock);
  const labels = node.labels.length === 0 ? '' : `  [${node.labels.join(', ')}]`;
  return `${node.name.padEnd(16)} ${node.state.padEnd(7)} ${node.reason ?? clock}${labels}`;
}

/** `clock +3500.12 ms ± 0.1 ms, chrony, Europe/Berlin +01:00` */
function describeClock({ offsetMs, errorMs, sync, zone }: ClockReport): string {
  const sign = offsetMs >= 0 ? '+' : '−';
  return [
    `clock ${sign}${Math.abs(offsetMs)} ms ± ${errorMs} ms`,
    ...(sync === null ? [] : [describeKeeper(sync)]),
    ...(zone === null
      ? []
      : [[zone.name ?? zone.abbreviation ?? '', zoneMark(zone.offsetMinutes)].join(' ').trim()]),
  ].join(', ');
}

function describeKeeper({ kind, synchronised }: NonNullable<ClockReport['sync']>): string {
  if (kind === 'unknown') return 'keeper unknown';
  const keeper = kind === 'none' ? 'no daemon' : kind;
  return synchronised === false ? `${keeper} (not synchronised)` : keeper;
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
