// node test/fleet/cli.ts up|down|status [--dir D] [--mode auto|namespaces|loopback] [--no-load]
// [--detach]
//
// `up` keeps the fleet until Ctrl-C, or until somebody's `down`; with --detach it returns and
// leaves the fleet running.

import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { UserError, describeError } from '../../src/base/errors.ts';
import { attachFleet, startFleet, stopFleet, type Fleet, type FleetOptions } from './fleet.ts';

const DEFAULT_DIR = path.join(import.meta.dirname, '../../.cache/fleet');
const MODES = ['auto', 'namespaces', 'loopback'] as const;

interface Options {
  readonly dir: string;
  readonly mode: NonNullable<FleetOptions['mode']>;
  readonly load: boolean;
  readonly detached: boolean;
}

const commands: Readonly<Record<string, (options: Options) => Promise<number>>> = {
  up,
  down: async ({ dir }) => {
    say((await stopFleet(dir)) ? 'The demo fleet has ended.' : `No demo fleet runs in ${dir}.`);
    return 0;
  },
  status: async ({ dir }) => {
    const fleet = await attachFleet(dir);
    say(fleet === undefined ? `No demo fleet runs in ${dir}.` : describe(fleet));
    return fleet === undefined ? 1 : 0;
  },
};

async function up(options: Options): Promise<number> {
  const wanted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => wanted.abort());
  }
  const fleet = await startFleet({ ...options, onProgress: say });
  try {
    say(describe(fleet));
    if (options.detached) return 0;
    say('Ctrl-C ends it.');
    while (!wanted.signal.aborted && (await attachFleet(options.dir)) !== undefined) {
      // the abort ends the wait, not the loop's condition
      await delay(1000, undefined, { signal: wanted.signal }).catch(() => {});
    }
  } finally {
    if (!options.detached) await fleet.stop();
  }
  say('The demo fleet has ended.');
  return 0;
}

function describe(fleet: Fleet): string {
  const nodes = fleet.nodes.map(({ host, name, port, services, user }) => {
    const running = services.map((service) => `${service.name} (${service.pid})`).join(', ');
    return `  ${name.padEnd(8)} ${user}@${host}:${port}  ${running}`;
  });
  return [
    `The demo fleet runs (${fleet.mode}) in ${fleet.dir}`,
    ...nodes,
    `  ssh -F ${fleet.sshConfigFile} ${fleet.nodes[0]?.name}`,
    `  settings: ${fleet.settingsFile}`,
  ].join('\n');
}

function readOptions(args: string[]): { command: string; options: Options } {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      dir: { type: 'string', default: DEFAULT_DIR },
      mode: { type: 'string', default: 'auto' },
      'no-load': { type: 'boolean', default: false },
      detach: { type: 'boolean', default: false },
    },
  });
  const mode = MODES.find((known) => known === values.mode);
  const [command = ''] = positionals;
  if (mode === undefined || positionals.length !== 1 || commands[command] === undefined) {
    throw new UserError('fleet.usage', 'Use: up|down|status [--dir D] [--mode M] [--no-load]');
  }
  const options = { dir: values.dir, mode, load: !values['no-load'], detached: values.detach };
  return { command, options };
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

// a reader that has gone away, as `head` does, must not end the fleet
process.stdout.on('error', () => {});
try {
  const { command, options } = readOptions(process.argv.slice(2));
  process.exitCode = await commands[command]?.(options);
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = error instanceof UserError && error.code === 'fleet.usage' ? 2 : 1;
}
