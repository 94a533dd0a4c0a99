// The configuration of a debug session of type `faultline`, as it stands in launch.json or comes from a run.

import * as v from 'valibot';
import { UserError } from '../base/errors.ts';
import { toDisplay } from '../base/displayText.ts';
import type { LaunchPlan } from '../run/launchPlan.ts';
import type { ProgramPlan } from './launcher.ts';
import { isPythonInterpreter } from './pythonCommand.ts';
import type { LocalMapping } from './pathMap.ts';

/** The debug type, as package.json contributes it. */
export const debugType = 'faultline';

const text = v.pipe(v.string(), v.minLength(1));
const texts = v.pipe(v.array(v.string()), v.readonly());

const schema = v.object({
  run: v.optional(text),
  node: v.optional(text),
  program: v.optional(text),
  module: v.optional(text),
  argv: v.optional(v.pipe(texts, v.minLength(1))),
  args: v.optional(texts),
  cwd: v.optional(text),
  env: v.optional(v.record(v.string(), v.string())),
  python: v.optional(text),
  stopOnEntry: v.optional(v.boolean(), false),
  justMyCode: v.optional(v.boolean(), false),
  noDebug: v.optional(v.boolean(), false),
  pathMappings: v.optional(v.array(v.object({ localRoot: text, remoteRoot: text })), () => []),
});

type Configuration = v.InferOutput<typeof schema>;

/** What both ways to start have in common. */
export interface SessionSettings {
  readonly stopOnEntry: boolean;
  readonly justMyCode: boolean;
  /** True: the program is started plainly, although it could be debugged. */
  readonly noDebug: boolean;
  readonly mappings: readonly LocalMapping[];
}

/** A recorded run is started again, on its own node or on another. */
export interface RunConfiguration extends SessionSettings {
  readonly kind: 'run';
  readonly run: string;
  readonly node: string | undefined;
}

/** A program is started that no run names. */
export interface ProgramConfiguration extends SessionSettings {
  readonly kind: 'program';
  readonly node: string;
  readonly plan: ProgramPlan;
  readonly python: string | undefined;
}

export type LaunchConfiguration = RunConfiguration | ProgramConfiguration;

/** Error: `debug.configuration`, with what is wrong with it. */
export function parseConfiguration(value: unknown): LaunchConfiguration {
  const parsed = v.safeParse(schema, value);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const name = v.getDotPath(issue);
    throw wrong(name === null ? 'it is no object' : `"${toDisplay(name, 60)}" is not valid`);
  }
  const configuration = parsed.output;
  const settings: SessionSettings = {
    stopOnEntry: configuration.stopOnEntry,
    justMyCode: configuration.justMyCode,
    noDebug: configuration.noDebug,
    mappings: configuration.pathMappings.map(({ localRoot, remoteRoot }) => ({
      local: localRoot,
      remote: remoteRoot,
    })),
  };
  if (configuration.run !== undefined) {
    if (programKeys.some((key) => configuration[key] !== undefined)) {
      throw wrong(
        `a recorded "run" brings its program, so ${programKeys.join(', ')} must be left out`,
      );
    }
    return { kind: 'run', run: configuration.run, node: configuration.node, ...settings };
  }
  return { kind: 'program', ...programOf(configuration), ...settings };
}

/** What is started for a recorded run. */
export function programPlanOf(plan: LaunchPlan): ProgramPlan {
  const { argv, cwd, env, umask, limits } = plan;
  return { argv, cwd, env, umask, limits, inheritEnv: false };
}

const programKeys = ['program', 'module', 'argv', 'args', 'cwd', 'env', 'python'] as const;

function programOf(
  configuration: Configuration,
): Pick<ProgramConfiguration, 'node' | 'plan' | 'python'> {
  const { node, cwd, env = {}, python } = configuration;
  if (node === undefined) throw wrong('"node" is missing: where the program is started');
  return {
    node,
    python,
    plan: {
      argv: argvOf(configuration),
      cwd,
      env,
      inheritEnv: true,
      umask: undefined,
      limits: undefined,
    },
  };
}

function argvOf({ program, module, argv, args = [], python }: Configuration): readonly string[] {
  if ([program, module, argv].filter((value) => value !== undefined).length !== 1) {
    throw wrong('it needs one of "run", "program", "module" and "argv"');
  }
  if (argv !== undefined) return [...argv, ...args];
  if (module !== undefined) return [python ?? 'python3', '-m', module, ...args];
  const isPython = python !== undefined || program?.endsWith('.py') === true;
  // An interpreter as the program is one command line; a script needs its interpreter.
  if (!isPython || isPythonInterpreter(program!)) return [program!, ...args];
  return [python ?? 'python3', program!, ...args];
}

function wrong(why: string): UserError {
  return new UserError('debug.configuration', `The debug configuration cannot be used: ${why}.`, {
    hint: 'See the examples in launch.json: "Add Configuration…" → "Faultline".',
  });
}
