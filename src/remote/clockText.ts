// What is known of a node's clock, in words: short for a list, line by line for a hover.

import { toDisplay } from '../base/displayText.ts';
import { formatDuration } from '../base/figures.ts';
import { zoneMark, type EpochMs } from '../base/time.ts';
import type { ClockDrift, ClockStep, ToldClock } from './clockHistory.ts';
import type { ClockOffset } from './node.ts';
import type { NodeZone, SyncState } from './syncDaemon.ts';

/** `+3.50 s ± 0.2 ms`: the node is ahead. */
export function formatOffset(clock: Pick<ClockOffset, 'offsetMs' | 'errorMs'>): string {
  return `${signed(clock.offsetMs)} ± ${formatDuration(clock.errorMs)}`;
}

/**
 * `clock +3.50 s ± 0.2 ms`, and whether a daemon tries in vain to keep it right. That there is none is in the hover
 * only: many a container and virtual machine has none, and a right clock.
 */
export function shortClock(clock: ToldClock): string {
  const { sync } = clock.facts ?? {};
  const isLoose = sync?.synchronised === false && sync.kind !== 'none' && sync.kind !== 'unknown';
  return `clock ${formatOffset(clock)}${isLoose ? ', not synchronised' : ''}`;
}

/** One fact a line; `showTime` writes a time of ours in the chosen zone. Safe to show. */
export function describeClock(clock: ToldClock, showTime: (time: EpochMs) => string): string[] {
  const { drift, lastStep, facts } = clock;
  return [
    `Clock: ${formatOffset(clock)}, measured at ${showTime(clock.measuredAt)}`,
    ...(drift === undefined || isUnclear(drift) ? [] : [describeDrift(drift)]),
    ...(lastStep === undefined ? [] : [describeStep(lastStep, showTime)]),
    ...(facts === undefined ? [] : [describeSync(facts.sync), ...doubt(clock, facts.sync)]),
    ...(facts?.zone === undefined ? [] : [`Zone: ${describeZone(facts.zone)}`]),
  ];
}

/** More uncertain than any crystal is wrong: nothing is known yet. */
function isUnclear({ errorPpm }: ClockDrift): boolean {
  return errorPpm > 100;
}

function describeDrift({ ppm, errorPpm }: ClockDrift): string {
  const sign = ppm < 0 ? '−' : '+';
  const aDay = formatDuration(Math.abs(ppm) * 86.4);
  return `Drift: ${sign}${Math.abs(ppm).toFixed(1)} ± ${errorPpm.toFixed(1)} ppm, ${aDay} a day`;
}

/** As a sentence, also for a message. */
export function describeStep(step: ClockStep, showTime: (time: EpochMs) => string): string {
  const whose = {
    node: "The node's clock",
    ours: "This computer's clock",
    unknown: "The node's clock or this computer's",
  }[step.whose];
  return `${whose} was set by ${signed(step.stepMs)}, seen at ${showTime(step.at)}`;
}

const daemonNames: Readonly<Record<SyncState['kind'], string>> = {
  chrony: 'Kept by chrony',
  ntpd: 'Kept by ntpd',
  openntpd: 'Kept by OpenNTPD',
  timesyncd: 'Kept by systemd-timesyncd',
  none: 'No time daemon',
  unknown: 'Time daemon unknown',
};

export function describeSync({ kind, synchronised, offsetMs, detail }: SyncState): string {
  const state = synchronised === false && kind !== 'none' ? ', not synchronised' : '';
  const reckoned =
    offsetMs === undefined ? '' : ` By its own reckoning it is ${signed(offsetMs)} off.`;
  return `${daemonNames[kind]}${state}. ${toDisplay(detail, 300)}${reckoned}`;
}

/** Where the node is sure of itself and far from us, it may be us. */
function doubt(clock: ToldClock, { synchronised }: SyncState): string[] {
  const isFar = Math.abs(clock.offsetMs) - clock.errorMs > 1000;
  return isFar && synchronised === true
    ? ["The node says that it is right: it may be this computer's clock that is off."]
    : [];
}

/** `Europe/Berlin (CET, UTC+01:00)`. */
export function describeZone({ name, abbreviation, offsetMinutes }: NodeZone): string {
  const distance = `UTC${zoneMark(offsetMinutes)}`;
  if (name === undefined) return [abbreviation, distance].filter(Boolean).join(', ');
  return `${name} (${[abbreviation, distance].filter(Boolean).join(', ')})`;
}

function signed(ms: number): string {
  return `${ms < 0 ? '−' : '+'}${formatDuration(Math.abs(ms))}`;
}
