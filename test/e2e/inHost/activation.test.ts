import assert from 'node:assert/strict';
import Module from 'node:module';
import path from 'node:path';
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

interface ActivationTimes {
  loadedMs: number;
  activatedMs: number;
  /** What both took of the processor, in the host's thread alone; undefined where that is not told. */
  processorMs: number | undefined;
}

/** Node has it since version 23.9, its types not yet here. */
type WithThreadUsage = typeof process & {
  threadCpuUsage?(since?: NodeJS.CpuUsage): NodeJS.CpuUsage;
};

function startProcessorClock(): () => number | undefined {
  const clock = process as WithThreadUsage;
  const atStart = clock.threadCpuUsage?.();
  return () => {
    const used = clock.threadCpuUsage?.(atStart);
    return used === undefined ? undefined : (used.user + used.system) / 1000;
  };
}

/**
 * Measures what VS Code itself calls activation: loading the extension's code and its `activate`.
 * The time until `Extension.activate()` answers is mostly that of other extensions in the queue.
 */
function watchActivation(): Readonly<ActivationTimes> {
  const times: ActivationTimes = { loadedMs: NaN, activatedMs: NaN, processorMs: undefined };
  const loader = Module as unknown as Loader;
  const load = loader._load;
  loader._load = (request, ...rest) => {
    if (!request.endsWith(bundle)) return load(request, ...rest);
    loader._load = load;
    const processorMs = startProcessorClock();
    const startedAt = performance.now();
    const loaded = load(request, ...rest) as ExtensionModule;
    times.loadedMs = performance.now() - startedAt;
    const activate = async (context: vscode.ExtensionContext) => {
      const calledAt = performance.now();
      const api = await loaded.activate(context);
      times.activatedMs = performance.now() - calledAt;
      times.processorMs = processorMs();
      return api;
    };
    return { ...loaded, activate };
  };
  return times;
}

test(`activation takes less than ${MAX_ACTIVATION_MS} ms`, async () => {
  const extension = vscode.extensions.getExtension('faultline.faultline');
  assert.ok(extension, 'VS Code does not know the extension.');
  assert.equal(extension.isActive, false, 'It was active already: there is nothing to measure.');
  const times = watchActivation();
  await extension.activate();
  const { loadedMs, activatedMs, processorMs } = times;
  note(
    `loaded in ${loadedMs.toFixed(1)} ms, activated in ${activatedMs.toFixed(1)} ms, ` +
      `${processorMs?.toFixed(1) ?? 'unknown'} ms of a processor`,
  );
  // The browser in front shares the machine: where it takes the processor, the wall clock measures it.
  assert.ok(
    Math.min(loadedMs + activatedMs, processorMs ?? Infinity) < MAX_ACTIVATION_MS,
    'The extension does too much before it is needed.',
  );
});

test('activation loads no ssh2', () => {
  const loaded = Object.keys(require.cache);
  assert.ok(loaded.some((file) => file.endsWith(bundle)));
  assert.ok(!loaded.some((file) => file.endsWith(path.join('dist', 'ssh2.js'))));
});
