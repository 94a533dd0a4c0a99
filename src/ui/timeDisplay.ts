// In whose zone times are shown, everywhere: this computer's, UTC, or each node's own.

import * as vscode from 'vscode';
import {
  formatTime,
  formatTimeOfDay,
  timeDisplays,
  type EpochMs,
  type KnownZone,
  type TimeDisplay,
} from '../base/time.ts';
import type { CommandTable } from './commands.ts';
import { readTimeDisplay, writeTimeDisplay } from './timeSetting.ts';

/** A node's own zone; undefined while it is not known. */
export type ZoneOfNode = (node: string) => KnownZone | undefined;

export class TimeZoneSwitch implements vscode.Disposable {
  private readonly zoneOf: ZoneOfNode;
  private readonly changed = new vscode.EventEmitter<TimeDisplay>();
  private readonly subscription: vscode.Disposable;
  private shown = readTimeDisplay();

  readonly onDidChange = this.changed.event;

  constructor(zoneOf: ZoneOfNode) {
    this.zoneOf = zoneOf;
    this.subscription = vscode.workspace.onDidChangeConfiguration(() => {
      const next = readTimeDisplay();
      if (next === this.shown) return;
      this.shown = next;
      this.changed.fire(next);
    });
  }

  get display(): TimeDisplay {
    return this.shown;
  }

  /** `2026-11-22 07:17:54.123+01:00`; a time that belongs to a node can be shown in its zone. */
  format(time: EpochMs, node?: string): string {
    return formatTime(time, this.shown, node === undefined ? undefined : this.zoneOf(node));
  }

  /** Time of day for today's times, the date for others; in whole seconds. */
  formatShort(time: EpochMs, node?: string): string {
    const zone = node === undefined ? undefined : this.zoneOf(node);
    const [day] = formatTime(time, this.shown, zone).split(' ');
    const [today] = formatTime(Date.now(), this.shown, zone).split(' ');
    if (day !== today) return day ?? '';
    return formatTimeOfDay(Math.floor(time / 1000) * 1000, this.shown, zone).replace('.000', '');
  }

  commands(): CommandTable {
    return { switchTimeDisplay: () => this.choose() };
  }

  dispose(): void {
    this.subscription.dispose();
    this.changed.dispose();
  }

  private async choose(): Promise<void> {
    const now = Date.now();
    const items = timeDisplays.map((display) => ({
      label: nameOf(display),
      description: display === this.shown ? 'as now' : '',
      detail: display === 'node' ? 'As in its log files' : formatTime(now, display).slice(0, 19),
      display,
    }));
    const chosen = await vscode.window.showQuickPick(items, {
      title: 'Show times in',
      placeHolder: nameOf(this.shown),
    });
    if (chosen !== undefined) await writeTimeDisplay(chosen.display);
  }
}

function nameOf(display: TimeDisplay): string {
  switch (display) {
    case 'local':
      return `This computer's zone (${localZoneName()})`;
    case 'utc':
      return 'UTC';
    case 'node':
      return "Each node's own zone";
  }
}

/** E.g. `Europe/Berlin`. The first call takes more than 10 ms: never while the extension starts. */
export function localZoneName(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}
