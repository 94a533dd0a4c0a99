// The command `faultline`: the composition root for terminals, scripts and CI. The same core as the extension.

import { toDisplayLines } from './base/displayText.ts';
import { UserError, describeError, isAbort } from './base/errors.ts';
import { exitCodes, wrongUse, type CliCommand, type CliContext } from './cli/context.ts';
import { envCommand } from './cli/env.ts';
import { logsCommand } from './cli/logs.ts';
import { nodesCommand } from './cli/nodes.ts';
import { profileCommand } from './cli/profile.ts';
import { terminalPrompts } from './cli/prompts.ts';
import {
  preflightCommand,
  rerunCommand,
  runCommand,
  runsCommand,
  showCommand,
} from './cli/runs.ts';
import { commandList } from './remote/commandText.ts';
import { sshConnector, type ConnectSettings } from './remote/connect.ts';
import { NodeRegistry } from './remote/nodeRegistry.ts';
import { combineNodes, readSettings, type Settings } from './remote/settings.ts';
import { maskedCommandLog } from './env/maskedCommandLog.ts';
import { environmentOfRun } from './run/runEnvironment.ts';
import { findRun } from './run/runStore.ts';

const usage = `Usage: faultline COMMAND [ARGUMENT…] [--settings FILE] [--ssh-config FILE] [--json] [--commands]

  nodes [NODE…] [--report]            states, reasons and clocks; with every step of connecting
  env NODE [--out FILE]               snapshot of an environment
  env diff A B                        what differs (node, snapshot file or run:ID); exit 1 when it does
  env matrix NODE… [--failing NODE,…] [--all]
                                      who is the odd one out; which fact goes with the failing nodes
  env check --baseline FILE NODE… [--format text|sarif|junit]
                                      whether nodes are still as in a snapshot; exit 1 when not
  env history NODE [FACT]             what changed and when; since when a fact is as it is
                                      (env commands keep what they were told; not with --no-history)
  logs [NODE…] [--context ID] [--grep TEXT] [--since T] [--until T] [--level L] [--follow]
       [--time utc|local|node]        in whose zone times are shown (default utc)
  run NODE [--cwd D] [--env K=V]… [--python P] -- CMD ARG…
  runs [NODE…] [--failed]             recorded runs, newest first
  show RUN                            a whole run record
  preflight RUN [--on NODE]           what is different now; exit 1 when something is
  rerun RUN [--on NODE] [--yes]       the same run again
  profile NODE PID [--seconds N] [--rate HZ] -o FILE   (.folded, .cpuprofile, .speedscope.json)

With --commands it also tells what was run on which node: "nodes" in full, the others as a list on stderr.
Exit codes: 0 done, 1 differences or failures, 2 wrong use, 3 some node could not answer.
Times are ISO 8601 or an age such as 10m. The settings file is JSONC with "faultline.nodes".
`;

const commands: Readonly<Record<string, CliCommand>> = {
  nodes: nodesCommand,
  env: envCommand({
    resolveRun: async (run, { access, signal }) =>
      environmentOfRun((await findRun(access, access.nodes, run, signal)).record),
  }),
  logs: logsCommand,
  run: runCommand,
  runs: runsCommand,
  show: showCommand,
  preflight: preflightCommand,
  rerun: rerunCommand,
  profile: profileCommand,
};

interface GlobalOptions {
  readonly settings: string | undefined;
  readonly sshConfig: string | undefined;
  readonly json: boolean;
  readonly commands: boolean;
  readonly help: boolean;
  readonly rest: readonly string[];
}

/** Takes the global options out, wherever they stand before a `--`. */
function parseGlobals(argv: readonly string[]): GlobalOptions {
  const end = argv.indexOf('--');
  const words = end < 0 ? [...argv] : argv.slice(0, end);
  const tail = end < 0 ? [] : argv.slice(end);
  const values = new Map<string, string>();
  const rest: string[] = [];
  let json = false;
  let commands = false;
  let help = false;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [name = '', inline] = word.split(/=(.*)/s);
    if (name === '--settings' || name === '--ssh-config') {
      const value = inline ?? words.shift();
      if (value === undefined) throw wrongUse(`${name} needs a file.`);
      values.set(name, value);
    } else if (word === '--json') json = true;
    else if (word === '--commands') commands = true;
    else if (word === '--help' || word === '-h') help = true;
    else rest.push(word);
  }
  return {
    settings: values.get('--settings'),
    sshConfig: values.get('--ssh-config'),
    json,
    commands,
    help,
    rest: [...rest, ...tail],
  };
}

/**
 * An ssh configuration can run programs (`Match exec`, `ProxyCommand`), and `ssh.path` is one. The settings of
 * whatever folder this is started in, which may be a cloned one, do not choose them; a file that the user named does.
 */
function trustedSsh(settings: Settings, options: GlobalOptions): ConnectSettings {
  const transport = settings.sshTransport;
  const rest = transport === undefined ? {} : { transport };
  const { sshConfigFile, sshPath } = settings;
  if (options.settings !== undefined) {
    return { configFile: options.sshConfig ?? sshConfigFile, sshPath, ...rest };
  }
  const names = [
    ...(sshConfigFile === undefined || options.sshConfig !== undefined
      ? []
      : ['an ssh configuration']),
    ...(sshPath === undefined ? [] : ['an ssh program']),
  ];
  if (names.length > 0) {
    process.stderr.write(
      `faultline: ${defaultSettingsFile} names ${names.join(' and ')}, which is not used: ` +
        `it could run programs. To use it, add --settings ${defaultSettingsFile}.\n`,
    );
  }
  return { configFile: options.sshConfig, ...rest };
}

const defaultSettingsFile = '.vscode/settings.json';

async function main(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const options = parseGlobals(argv);
  const [name, ...args] = options.rest;
  if (options.help || name === undefined || name === 'help') {
    (options.help || name === 'help' ? process.stdout : process.stderr).write(usage);
    return options.help || name === 'help' ? exitCodes.done : exitCodes.wrongUse;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    throw wrongUse(`There is no command "${name}".`, 'See faultline --help.');
  }
  const settings = await readSettings(
    options.settings ?? defaultSettingsFile,
    options.settings !== undefined,
  );
  const log = maskedCommandLog();
  const ssh = trustedSsh(settings, options);
  const prompts = terminalPrompts({ input: process.stdin, output: process.stderr });
  const registry = new NodeRegistry(
    sshConnector(
      () => ssh,
      () => prompts,
      { commands: log },
    ),
  );
  registry.setNodes(await combineNodes(settings.nodes, ssh.configFile));
  const context: CliContext = {
    access: registry,
    connectionReport: (node) => registry.report(node),
    stdout: process.stdout,
    stderr: process.stderr,
    signal,
    json: options.json,
    ...(options.commands ? { commands: log } : {}),
  };
  try {
    return await command(args, context);
  } finally {
    registry.dispose();
    if (options.commands && command !== nodesCommand) process.stderr.write(commandList(log));
    log.dispose();
  }
}

const abort = new AbortController();
process.once('SIGINT', () => abort.abort());
process.once('SIGTERM', () => abort.abort());
// A reader that goes away (`faultline logs | head`) ends the command quietly.
process.stdout.on('error', () => abort.abort());

main(process.argv.slice(2), abort.signal).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    if (isAbort(error)) {
      process.exitCode = 130;
      return;
    }
    if (error instanceof UserError) {
      process.stderr.write(`faultline: ${toDisplayLines(describeError(error))}\n`);
      const isUse = error.code.startsWith('cli.') || error.code.startsWith('settings.');
      process.exitCode = isUse ? exitCodes.wrongUse : exitCodes.nodeMissing;
      return;
    }
    process.stderr.write(`faultline: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 70;
  },
);
