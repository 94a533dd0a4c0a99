// What happened on the way to a node, step by step, with times: the answer to "why does it not connect?".
// Holds no secrets: names, addresses, key fingerprints and the names of login methods only.

import { toDisplay } from '../base/displayText.ts';
import { describeError } from '../base/errors.ts';
import { Emitter } from '../base/emitter.ts';

export type StepOutcome = 'running' | 'ok' | 'failed';

export interface ConnectionStep {
  /** E.g. `Look up the name web-1.example`, `Log in as deploy`. */
  readonly title: string;
  /** Milliseconds since the report began. */
  readonly startedMs: number;
  readonly durationMs: number | undefined;
  readonly outcome: StepOutcome;
  /** What was found, e.g. the address or why it failed. */
  readonly detail: string | undefined;
}

export class ConnectionReport {
  /** Epoch milliseconds. */
  readonly startedAt = Date.now();
  private readonly zero = performance.now();
  private readonly list: ConnectionStep[] = [];
  private readonly changed = new Emitter<void>();

  readonly onDidChange = this.changed.event;

  get steps(): readonly ConnectionStep[] {
    return this.list;
  }

  /** The step under way, for a one-line state. */
  get current(): ConnectionStep | undefined {
    return this.list.findLast((step) => step.outcome === 'running');
  }

  /** Runs one step and keeps how it went. `detail` says what its result means. */
  async step<T>(
    title: string,
    work: () => Promise<T>,
    detail: (result: T) => string | undefined = () => undefined,
  ): Promise<T> {
    const end = this.begin(title);
    try {
      const result = await work();
      end('ok', detail(result));
      return result;
    } catch (error) {
      end('failed', describeError(error));
      throw error;
    }
  }

  /** Starts a step that ends when the function it gives is called (again: harmless). */
  begin(title: string): (outcome: 'ok' | 'failed', detail?: string) => void {
    const startedMs = performance.now() - this.zero;
    const index =
      this.list.push({
        title: toDisplay(title, 300),
        startedMs,
        durationMs: undefined,
        outcome: 'running',
        detail: undefined,
      }) - 1;
    this.changed.fire();
    return (outcome, detail) => {
      const step = this.list[index]!;
      if (step.outcome !== 'running') return;
      this.list[index] = {
        ...step,
        outcome,
        durationMs: performance.now() - this.zero - startedMs,
        detail: detail === undefined ? undefined : toDisplay(detail, 600),
      };
      this.changed.fire();
    };
  }

  /** Something worth knowing that took no time. */
  note(title: string, detail?: string): void {
    this.begin(title)('ok', detail);
  }

  /** Whatever still runs has ended with the connection attempt. */
  close(): void {
    for (const [index, step] of this.list.entries()) {
      if (step.outcome === 'running') this.list[index] = { ...step, outcome: 'failed' };
    }
    this.changed.fire();
  }
}

/** As text for the clipboard: one step a line. */
export function formatReport(node: string, report: ConnectionReport): string {
  const lines = report.steps.map((step) => {
    const mark = { ok: 'ok    ', failed: 'FAILED', running: '…     ' }[step.outcome];
    const took = step.durationMs === undefined ? '' : `${step.durationMs.toFixed(1)} ms`;
    const detail = step.detail === undefined ? '' : `: ${step.detail}`;
    return `${mark} +${step.startedMs.toFixed(0).padStart(6)} ms  ${took.padStart(11)}  ${step.title}${detail}`;
  });
  const at = new Date(report.startedAt).toISOString();
  return [`Connection to ${toDisplay(node, 200)}, begun ${at}`, ...lines, ''].join('\n');
}
