// The Pythons of this machine, and the probe's Python files as tests use them.

import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRunRecord, type RunRecord } from '../../src/run/runRecord.ts';

export const probeFolder = join(import.meta.dirname, '../../src/probe/python');
export const recorderFile = join(probeFolder, 'faultline_probe.py');

export interface Python {
  readonly path: string;
  /** Major and minor, e.g. `[3, 11]`. */
  readonly version: readonly [number, number];
}

let known: readonly Python[] | undefined;

/** One of each version from 3.6 on: the system's first, then pyenv's. */
export function pythons(): readonly Python[] {
  known ??= findPythons();
  return known;
}

function findPythons(): Python[] {
  const pyenv = join(homedir(), '.pyenv/versions');
  const candidates = [
    '/usr/bin/python3',
    '/usr/local/bin/python3',
    ...(existsSync(pyenv)
      ? readdirSync(pyenv).map((name) => join(pyenv, name, 'bin/python3'))
      : []),
  ];
  const found = new Map<string, Python>();
  for (const path of candidates.filter((candidate) => existsSync(candidate))) {
    const asked = spawnSync(path, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']);
    const [major, minor] = asked.stdout.toString().trim().split('.').map(Number);
    if (major !== 3 || minor === undefined || minor < 6) continue;
    const key = `${major}.${minor}`;
    if (!found.has(key)) found.set(key, { path, version: [major, minor] });
  }
  return [...found.values()];
}

export function systemPython(): string {
  const first = pythons()[0];
  if (first === undefined) throw new Error('These tests need a Python 3.6 or newer.');
  return first.path;
}

/** Runs Python text with the recorder imported as `probe`; what it leaves in `answer` comes back. */
export function askRecorder(text: string, input: unknown, python = systemPython()): unknown {
  const program =
    'import json, sys\n' +
    `sys.dont_write_bytecode = True\n` +
    `sys.path.insert(0, ${JSON.stringify(probeFolder)})\n` +
    'import faultline_probe as probe\n' +
    'given = json.loads(sys.stdin.read())\n' +
    `${text}\n` +
    'print(json.dumps(answer))\n';
  const done = spawnSync(python, ['-c', program], { input: JSON.stringify(input) });
  if (done.status !== 0) throw new Error(done.stderr.toString());
  return JSON.parse(done.stdout.toString());
}

/** A directory of its own for one test, removed with `dispose`. */
export class Workplace {
  readonly folder: string;
  readonly state: string;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'faultline-probe-'));
    this.state = join(this.folder, 'state');
  }

  get runs(): string {
    return join(this.state, 'runs');
  }

  /** A clean environment: what the tests' own has is not what they are about. */
  env(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return { PATH: process.env['PATH'] ?? '/usr/bin:/bin', FAULTLINE_STATE: this.state, ...more };
  }

  recordText(run: string): string {
    return readFileSync(join(this.runs, `${run}.json`), 'latin1');
  }

  /** The record as the extension reads it: the recorder and its reader are tested against each other. */
  record(run: string): RunRecord {
    return parseRunRecord(JSON.parse(this.recordText(run)));
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface RecordedEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  /** Without the recorder's last line; it begins on a line of its own. */
  readonly stderr: string;
  readonly run: string | undefined;
}

export interface RecordOptions {
  readonly python?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Buffer;
  readonly cwd?: string;
  readonly options?: readonly string[];
}

/** `faultline_probe.py run … -- argv`, to its end. */
export function recordRun(
  place: Workplace,
  argv: readonly string[],
  options: RecordOptions = {},
): RecordedEnd {
  const done: SpawnSyncReturns<Buffer> = spawnSync(
    options.python ?? systemPython(),
    [recorderFile, 'run', ...(options.options ?? []), '--', ...argv],
    {
      env: options.env ?? place.env(),
      cwd: options.cwd ?? place.folder,
      input: options.input ?? '',
      timeout: 20_000,
      killSignal: 'SIGKILL',
    },
  );
  const stderr = done.stderr.toString('latin1');
  const line = /^faultline: run (r-\d{8}T\d{6}-[0-9a-f]{8})\n$/m.exec(stderr);
  return {
    exitCode: done.status,
    signal: done.signal,
    stdout: done.stdout.toString('latin1'),
    stderr: line === null ? stderr : stderr.replace(line[0], ''),
    run: line?.[1],
  };
}

/** The same for a run that must have been recorded. */
export function recordedRun(
  place: Workplace,
  argv: readonly string[],
  options: RecordOptions = {},
): RecordedEnd & { readonly record: RunRecord } {
  const end = recordRun(place, argv, options);
  if (end.run === undefined) throw new Error(`no run id in: ${end.stderr.slice(-400)}`);
  return { ...end, record: place.record(end.run) };
}
