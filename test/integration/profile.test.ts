// Sampling real Python processes, through a shell on this machine and on a node of the demo fleet.

import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { readCpuprofile } from '../../src/profile/formats/cpuprofile.ts';
import { readFolded } from '../../src/profile/formats/folded.ts';
import { readSpeedscope } from '../../src/profile/formats/speedscope.ts';
import { profileFormats } from '../../src/profile/profileFile.ts';
import { listProcesses } from '../../src/profile/processes.ts';
import { totalWeight, type Profile } from '../../src/profile/profile.ts';
import { sampleProcess, type SampleTarget } from '../../src/profile/sampler.ts';
import { summarize } from '../../src/profile/summary.ts';
import { LocalShell } from '../../src/remote/localShell.ts';
import { eventually } from '../fakes/eventually.ts';
import { startFleet } from '../fleet/fleet.ts';
import { systemPython } from '../probe/pythons.ts';
import { stackWeights } from '../profile/columns.ts';

const execFileAsync = promisify(execFile);
const folder = mkdtempSync(path.join(tmpdir(), 'faultline-sampling-'));
const shell = new LocalShell();
after(() => {
  shell.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const script = path.join(folder, 'busy.py');
writeFileSync(
  script,
  `import sys, threading, time

def square_sum(n):
    total = 0
    for i in range(n):
        total += i * i
    return total

def settle():
    return square_sum(20000)

def wait_for_work():
    time.sleep(600)

threading.Thread(target=wait_for_work, daemon=True).start()
print('up', flush=True)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    settle()
`,
);

/** Starts the program above; it ends by itself after so many seconds. */
async function startBusy(t: TestContext, seconds: number): Promise<ChildProcess & { pid: number }> {
  const child = spawn(systemPython(), [script, String(seconds), '--token=s3cret'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  assert.ok(child.pid !== undefined);
  return Object.assign(child, { pid: child.pid });
}

const target = (pid: number, seconds: number): SampleTarget => ({
  node: 'here',
  pid,
  seconds,
  rateHz: 49,
});

function assertBusy(profile: Profile): void {
  const { top, samplerShare } = summarize(profile, 'cpu', 3);
  assert.equal(top[0]?.name, 'square_sum');
  assert.equal(top[0].file, script);
  assert.ok([5, 6].includes(top[0].line), `its loop, not line ${top[0].line}`);
  assert.ok(top[0].selfShare > 0.8, `${top[0].selfShare}`);
  assert.ok(samplerShare !== undefined && samplerShare < 0.5, `${samplerShare}`);
}

test('a busy process: the function that burns is found, with its lines and what it cost', async (t) => {
  const { pid } = await startBusy(t, 60);
  const progress: number[] = [];
  const profile = await sampleProcess(shell, target(pid, 2), {
    onProgress: ({ elapsedMs }) => progress.push(elapsedMs),
  });
  assertBusy(profile);
  assert.ok(totalWeight(profile, 'cpu') > 20 && totalWeight(profile, 'wall') > 60);
  const waiting = Object.keys(stackWeights(profile, 'wall')).some((s) =>
    s.endsWith('wait_for_work'),
  );
  assert.ok(waiting, 'the waiting thread is in the wall profile');
  assert.ok(progress.length >= 3 && progress.at(-1)! >= 1900);
  const { meta } = profile;
  assert.equal(meta.sampler.name, 'faultline-probe');
  assert.match(meta.command, /^python3[\d.]* .*busy\.py …$/, 'arguments may be secret');
  assert.ok(meta.durationMs >= 1900 && meta.durationMs < 4000);

  for (const format of profileFormats) {
    const read = format.read(format.write(profile, 'cpu'));
    const [hottest] = summarize(
      read,
      read.samples.weights.cpu === undefined ? 'wall' : 'cpu',
      1,
    ).top;
    assert.equal(hottest?.name, 'square_sum', format.ending);
    assert.equal(hottest.file, script, format.ending);
  }
  const folded = readFolded(profileFormats[0]!.write(profile, 'wall'));
  assert.equal(totalWeight(folded, 'wall'), totalWeight(profile, 'wall'));
});

test('a process that ends while it is sampled gives what there was', async (t) => {
  const { pid } = await startBusy(t, 1.2);
  const profile = await sampleProcess(shell, target(pid, 20));
  assertBusy(profile);
  assert.match(profile.meta.notes.join(), /The process ended early: \d\.\d s of 20 s were sampled/);
});

test('cancelling leaves no sampler behind', async (t) => {
  const { pid } = await startBusy(t, 60);
  const abort = new AbortController();
  const sampling = sampleProcess(
    shell,
    target(pid, 30),
    { onProgress: () => abort.abort() },
    abort.signal,
  );
  await assert.rejects(sampling, { name: 'AbortError' });
  await eventually(() => assert.deepEqual(samplersOf(pid), []), 10_000);
});

/** Processes that run the interpreter of this one as a sampler does. */
function samplersOf(pid: number): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').startsWith(`/proc/${pid}/exe\0-I`);
    } catch {
      return false; // It has just ended, or is no process.
    }
  });
}

test('a process that is no Python, and one that is gone', async () => {
  await assert.rejects(sampleProcess(shell, target(process.pid, 1)), { code: 'profile.notPython' });
  await assert.rejects(sampleProcess(shell, target(2 ** 30, 1)), { code: 'profile.noProcess' });
});

test('processes are listed with what they are and how busy they are', async (t) => {
  const { pid } = await startBusy(t, 60);
  const processes = await listProcesses(shell);
  const busy = processes.find((each) => each.pid === pid);
  assert.equal(busy?.kind, 'python');
  assert.match(busy.command, /busy\.py 60 --token=s3cret$/);
  assert.ok((busy.cpuPercent ?? 0) > 5, `${busy.cpuPercent} %`);
  assert.equal(processes.find((each) => each.pid === process.pid)?.kind, 'node');
  const loads = processes.map((each) => each.cpuPercent ?? 0);
  assert.deepEqual(
    loads,
    [...loads].sort((a, b) => b - a),
    'busiest first',
  );
});

test('the command profiles a service of the fleet', { timeout: 240_000 }, async (t) => {
  const fleet = await startFleet({ dir: path.join(folder, 'fleet'), load: true });
  t.after(() => fleet.stop());
  const worker = fleet.nodes.find((node) => node.name === 'work-1');
  const [service] = worker?.services ?? [];
  assert.ok(service !== undefined);
  const faultline = async (...words: string[]): Promise<string> => {
    const cli = path.join(import.meta.dirname, '../../src/cli.ts');
    const globals = ['--settings', fleet.settingsFile, '--ssh-config', fleet.sshConfigFile];
    return (await execFileAsync(process.execPath, [cli, ...words, ...globals])).stdout;
  };
  const file = path.join(folder, 'work-1.speedscope.json');
  const seconds = 6;
  const printed = await faultline(
    ...[
      'profile',
      'work-1',
      String(service.pid),
      '--seconds',
      String(seconds),
      '-o',
      file,
      '--json',
    ],
  );
  const report = JSON.parse(printed) as Record<string, unknown>;
  assert.equal(report['node'], 'work-1');
  assert.equal(report['file'], file);
  const profile = readSpeedscope(readFileSync(file, 'utf8'));
  assert.ok(totalWeight(profile, 'wall') > 100);
  const ownFunctions = profile.frames.files.filter((each) => each.includes('/shop/'));
  assert.ok(ownFunctions.length > 0, profile.frames.files.slice(0, 20).join());

  const cpuprofile = path.join(folder, 'work-1.cpuprofile');
  const text = await faultline(
    ...[
      'profile',
      'work-1',
      String(service.pid),
      '--seconds',
      '2',
      '--kind',
      'wall',
      '-o',
      cpuprofile,
    ],
  );
  assert.match(text, /on work-1\), \d\.\d s\n/);
  assert.ok(totalWeight(readCpuprofile(readFileSync(cpuprofile, 'utf8')), 'wall') > 0);
});
