import assert from 'node:assert/strict';
import Module from 'node:module';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as vscode from 'vscode';
import { note, test } from './suite.ts';

/** What a window may lose at most when it opens. */
const MAX_ACTIVATION_MS = 50;

const bundle = path.join('dist', 'extension.js');

interface ExtensionModule {
  activate(context: vscode.ExtensionContext): unknown;
}

/** Node's own loader, through which VS Code loads an extension too. */
interface Loader {
  _load(this: void, request: string, ...rest: unknown[]): unknown;
}

/** Node has it since version 23.9, its types not yet here. */
type WithThreadUsage = typeof process & {
  threadCpuUsage?(since?: NodeJS.CpuUsage): NodeJS.CpuUsage;
};

interface Cost {
  readonly wallMs: number;
  /** What it took of the processor in this thread alone; wall time where Node does not tell. */
  readonly processorMs: number;
}

/** Starts measuring; the answer ends it. */
function startClock(): () => Cost {
  const clock = process as WithThreadUsage;
  const usageAtStart = clock.threadCpuUsage?.();
  const startedAt = performance.now();
  return () => {
    const wallMs = performance.now() - startedAt;
    const usage = clock.threadCpuUsage?.(usageAtStart);
    const processorMs = usage === undefined ? wallMs : (usage.user + usage.system) / 1000;
    return { wallMs, processorMs };
  };
}

/**
 * Measures what VS Code itself calls activation: loading the extension's code and calling its
 * `activate`. The time until `Extension.activate()` answers is mostly that of others in the queue.
 */
function watchActivation(): Cost[] {
  const costs: Cost[] = [];
  const loader = Module as unknown as Loader;
  const load = loader._load;
  loader._load = (request, ...rest) => {
    if (!request.endsWith(bundle)) return load(request, ...rest);
    loader._load = load;
    const loading = startClock();
    const loaded = load(request, ...rest) as ExtensionModule;
    costs.push(loading());
    const activate = async (context: vscode.ExtensionContext) => {
      const activating = startClock();
      const api = await loaded.activate(context);
      costs.push(activating());
      return api;
    };
    return { ...loaded, activate };
  };
  return costs;
}

/** Waits until timers come on time: the window has opened, its first storm of work is over. */
async function untilQuiet(): Promise<void> {
  const deadline = performance.now() + 20_000;
  for (let inTime = 0; inTime < 10 && performance.now() < deadline;) {
    const startedAt = performance.now();
    await delay(50);
    inTime = performance.now() - startedAt < 60 ? inTime + 1 : 0;
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

test(`activation takes less than ${MAX_ACTIVATION_MS} ms`, async () => {
  const extension = vscode.extensions.getExtension('faultline.faultline');
  assert.ok(extension, 'VS Code does not know the extension.');
  assert.equal(extension.isActive, false, 'It was active already: there is nothing to measure.');
  await untilQuiet();
  const costs = watchActivation();
  await extension.activate();
  assert.equal(costs.length, 2, 'Loading and activating were not both seen.');
  const wallMs = sum(costs.map((cost) => cost.wallMs));
  const processorMs = sum(costs.map((cost) => cost.processorMs));
  const [loading, activating] = costs.map((cost) => cost.processorMs.toFixed(1));
  note(
    `activated in ${wallMs.toFixed(1)} ms, ${processorMs.toFixed(1)} ms of a processor: ` +
      `${loading} to load, ${activating} to activate`,
  );
  // The browser in front shares the machine: where it takes the processor, the wall clock measures it.
  assert.ok(
    Math.min(wallMs, processorMs) < MAX_ACTIVATION_MS,
    'The extension does too much before it is needed.',
  );
});

test('activation loads no ssh2', () => {
  const loaded = Object.keys(require.cache);
  assert.ok(loaded.some((file) => file.endsWith(bundle)));
  assert.ok(!loaded.some((file) => file.endsWith(path.join('dist', 'ssh2.js'))));
});
