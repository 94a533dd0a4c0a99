// our process sleeps, the network is another one meanwhile, and the clock is set: everything goes on.

import { fork, type ChildProcess } from 'node:child_process';
import { appendFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { delay } from '../../../src/base/async.ts';
import { noStartUpFiles, startSshd, type TestSshd } from '../../fakes/sshd.ts';
import { fakeTimeLibrary } from '../fakeTime.ts';
import type { Goal, GoalContext } from '../goal.ts';
import type { FromSleeper } from '../workers/sleeper.ts';

/** Shorter than a node waits for us before it ends what we left there, and longer. */
const shortSleepMs = 30_000;
const longSleepMs = 60_000;
const backWithinMs = 30_000;
const lineEveryMs = 50;
/** The first two keep their connections; those of the others are cut while we sleep. */
const names = ['kept-1', 'kept-2', 'cut-1', 'cut-2'];
export const goal: Goal = {
  id: 'R-13',
  how: 'SIGSTOP for 60 s with half of the connections cut meanwhile; the wall clock set by ±8 h (libfaketime)',
  limitMinutes: 7,
  run: async (context) => {
    const kept = await startSshd({ config: noStartUpFiles });
    const cut = await startSshd({ config: noStartUpFiles });
    const sleeper = await Sleeper.start([kept, kept, cut, cut], fakeTimeLibrary());
    try {
      return await sleepAndWake(sleeper, cut, context);
    } finally {
      sleeper.stop();
      await Promise.all([kept.stop(), cut.stop()]);
    }
  },
};

async function sleepAndWake(
  sleeper: Sleeper,
  cut: TestSshd,
  context: GoalContext,
): Promise<{ ok: boolean; figure: string }> {
  const { signal, onProgress } = context;
  await untilTrue(() => sleeper.told('following').length === names.length, 30_000, signal);
  sleeper.startWriting();
  await delay(3_000, signal);
  const clock = await setClock(sleeper, signal);
  onProgress(clock.figure);

  const shortMs = await sleeper.sleep(shortSleepMs, signal);
  await delay(3_000, signal);
  const short = `asleep ${seconds(shortSleepMs)}: ${sleeper.compareLines(names).figure}`;
  onProgress(short);

  const longMs = await sleeper.sleep(longSleepMs, signal, () => cut.killSessions());
  await delay(3_000, signal);
  await sleeper.stopWriting();
  await delay(5_000, signal);
  const lines = sleeper.compareLines(names);
  return {
    ok: clock.ok && Math.max(shortMs, longMs) <= backWithinMs && lines.isExact,
    figure:
      `${clock.figure}; ${short}, nodes back after ${seconds(shortMs)}; asleep ${seconds(longSleepMs)}, half ` +
      `of the connections cut meanwhile: all nodes back after ${seconds(longMs)}, ${lines.figure}`,
  };
}

async function setClock(
  sleeper: Sleeper,
  signal: AbortSignal,
): Promise<{ ok: boolean; figure: string }> {
  let isOk = true;
  const figures: string[] = [];
  for (const shift of ['+8h', '+0h', '-8h', '+0h']) {
    await sleeper.setClock(shift);
    const { wallTime } = await sleeper.alive();
    const hours = (wallTime - Date.now()) / 3_600_000;
    if (Math.abs(hours - parseInt(shift)) > 0.1) throw new Error(`The clock is off by ${hours} h.`);
    // Longer than it takes us to notice, and to look at all connections.
    await delay(12_000, signal);
    const { nodes } = await sleeper.alive();
    isOk &&= nodes.length === names.length;
    figures.push(`${nodes.length}/${names.length}`);
  }
  const lines = sleeper.compareLines(names);
  return {
    ok: isOk && lines.isExact,
    figure: `clock +8 h, back, -8 h, back: ${figures.join(', ')} nodes there, ${lines.figure}`,
  };
}

/** The process that sleeps, and what is written on its nodes. */
class Sleeper {
  readonly process: ChildProcess;
  private readonly clockFile: string;
  private readonly logs: ReadonlyMap<string, string>;
  private readonly messages: FromSleeper[] = [];
  private readonly written = new Map<string, string[]>();
  private writing: Promise<void> = Promise.resolve();
  private isWriting = false;

  private constructor(process: ChildProcess, clockFile: string, logs: ReadonlyMap<string, string>) {
    this.process = process;
    this.clockFile = clockFile;
    this.logs = logs;
    process.on('message', (message: FromSleeper) => this.messages.push(message));
  }

  /** One server for each name. */
  static async start(servers: readonly TestSshd[], preload: string): Promise<Sleeper> {
    const { dir } = servers[0]!;
    const config = path.join(dir, 'sleeper-config');
    const known = [...new Set(servers)].map((sshd) => sshd.hostKeyLine).join('\n');
    await servers[0]!.knownHosts(`${known}\n`);
    const hosts = servers.map(
      (sshd, index) =>
        `Host ${names[index]}\n  HostName 127.0.0.1\n  Port ${sshd.port}\n  IdentityFile ${sshd.dir}/client\n`,
    );
    await writeFile(
      config,
      `${hosts.join('')}Host *\n  IdentitiesOnly yes\n  IdentityAgent none\n` +
        `  UserKnownHostsFile ${dir}/known_hosts\n  GlobalKnownHostsFile none\n`,
    );
    const logs = new Map(names.map((name) => [name, path.join(dir, `${name}.log`)]));
    for (const file of logs.values()) await writeFile(file, '');
    const clockFile = path.join(dir, 'clock');
    await writeFile(clockFile, '+0h');
    const process_ = fork(
      path.join(import.meta.dirname, '../workers/sleeper.ts'),
      [config, ...[...logs].flat()],
      {
        env: {
          ...process.env,
          LD_PRELOAD: preload,
          FAKETIME_TIMESTAMP_FILE: clockFile,
          FAKETIME_NO_CACHE: '1',
          // As in a sleep, or when somebody sets the clock.
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
          DONT_FAKE_MONOTONIC: '1',
        },
      },
    );
    return new Sleeper(process_, clockFile, logs);
  }

  told<Kind extends FromSleeper['kind']>(kind: Kind): Extract<FromSleeper, { kind: Kind }>[] {
    return this.messages.filter(
      (message): message is Extract<FromSleeper, { kind: Kind }> => message.kind === kind,
    );
  }

  startWriting(): void {
    this.isWriting = true;
    this.writing = this.write();
  }

  async stopWriting(): Promise<void> {
    this.isWriting = false;
    await this.writing;
  }

  async setClock(shift: string): Promise<void> {
    await writeFile(this.clockFile, shift);
  }

  async alive(): Promise<Extract<FromSleeper, { kind: 'alive' }>> {
    const before = this.told('alive').length;
    this.process.send('alive?');
    await untilTrue(() => this.told('alive').length > before, 10_000);
    return this.told('alive').at(-1)!;
  }

  private async allBack(signal: AbortSignal): Promise<number> {
    const startedAt = performance.now();
    while ((await this.alive()).nodes.length < names.length) {
      if (performance.now() - startedAt > backWithinMs) break;
      await delay(100, signal);
    }
    return performance.now() - startedAt;
  }

  /** Stops the process for `ms`; gives how long it takes then until all nodes answer by themselves. */
  async sleep(
    ms: number,
    signal: AbortSignal,
    meanwhile: () => unknown = () => undefined,
  ): Promise<number> {
    this.process.kill('SIGSTOP');
    await delay(ms / 2, signal);
    await meanwhile();
    await delay(ms / 2, signal);
    this.process.kill('SIGCONT');
    return this.allBack(signal);
  }

  /** What was read against what was written until a second ago. */
  compareLines(of: readonly string[]): { readonly isExact: boolean; readonly figure: string } {
    let [written, lost, doubled, strange] = [0, 0, 0, 0];
    for (const name of of) {
      const all = this.written.get(name) ?? [];
      const settled = this.isWriting ? all.slice(0, -1000 / lineEveryMs) : all;
      const seen = new Map<string, number>();
      for (const { node, text } of this.told('line')) {
        if (node === name) seen.set(text, (seen.get(text) ?? 0) + 1);
      }
      written += settled.length;
      lost += settled.filter((text) => !seen.has(text)).length;
      const known = new Set(all);
      for (const [text, times] of seen) {
        if (!known.has(text)) strange++;
        doubled += times - 1;
      }
    }
    return {
      isExact: lost + doubled + strange === 0,
      figure: `${lost} of ${written} lines lost, ${doubled} doubled, ${strange} changed`,
    };
  }

  stop(): void {
    this.isWriting = false;
    this.process.kill('SIGKILL');
  }

  private async write(): Promise<void> {
    for (let number = 1; this.isWriting; number++) {
      for (const [name, file] of this.logs) {
        const line = `${new Date().toISOString()} INFO ${name} line ${number}`;
        const list = this.written.get(name) ?? [];
        this.written.set(name, list);
        list.push(line);
        await appendFile(file, `${line}\n`);
      }
      await delay(lineEveryMs);
    }
  }
}

async function untilTrue(
  condition: () => boolean,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error('The process that sleeps does not answer.');
    await delay(20, signal);
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
