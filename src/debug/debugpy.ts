// debugpy on a node: where it is, and how a program is started under it.

import { UserError } from '../base/errors.ts';
import { toDisplay } from '../base/displayText.ts';
import type { Shell } from '../remote/shell.ts';
import type { ProgramPlan } from './launcher.ts';
import {
  isPythonInterpreter,
  parsePythonCommand,
  parsePythonShebang,
  type PythonCommand,
} from './pythonCommand.ts';

/** An installed debugpy. Its adapter runs in this interpreter; the debuggee may run in any other. */
export interface Debugpy {
  readonly python: string;
  /** The package's directory. */
  readonly directory: string;
  readonly version: string;
  /** Debian ships a library of debugpy's as a package beside it, where other interpreters do not look. */
  readonly needsNeighbours: boolean;
}

// The current directory is no place to import from: a file there may have the name of a module.
const probe = `
import sys
sys.path = [entry for entry in sys.path if entry]
import json, os, debugpy
directory = os.path.dirname(os.path.abspath(debugpy.__file__))
if not os.path.isdir(os.path.join(directory, "adapter")) or sys.version_info < (3, 6):
    sys.exit(1)
vendored = os.path.join(directory, "_vendored", "pydevd", "_pydevd_frame_eval", "vendored")
print(json.dumps([sys.executable, directory, debugpy.__version__, not os.path.isdir(vendored)]))
`;

const probeScript =
  'code=$1; shift; cd /; for p in "$@"; do "$p" -c "$code" </dev/null 2>/dev/null && exit; done; exit 1';

/** The first of these interpreters that has debugpy. Error: `debug.noDebugpy`. */
export async function findDebugpy(
  shell: Shell,
  node: string,
  interpreters: readonly string[],
  signal?: AbortSignal,
): Promise<Debugpy> {
  const args = [probe, ...new Set(interpreters)];
  const { stdout, exitCode } = await shell.exec(
    { title: 'Look for debugpy', script: probeScript, args },
    {},
    signal,
  );
  const found = exitCode === 0 ? parseProbe(stdout.toString('utf8')) : undefined;
  if (found !== undefined) return found;
  throw new UserError('debug.noDebugpy', `${node} has no debugpy, the debugger for Python.`, {
    hint:
      `Install it there ("apt install python3-debugpy" or "pip install debugpy"), ` +
      `or reopen the run without debugger.`,
  });
}

function parseProbe(text: string): Debugpy | undefined {
  try {
    // What a site's start-up code prints comes before our line.
    const value: unknown = JSON.parse(text.trim().split('\n').at(-1) ?? '');
    if (!Array.isArray(value)) return undefined;
    const [python, directory, version, needsNeighbours] = value as unknown[];
    if (!isAbsolutePath(python) || !isAbsolutePath(directory) || typeof version !== 'string') {
      return undefined;
    }
    return {
      python,
      directory,
      version: toDisplay(version, 40),
      needsNeighbours: needsNeighbours === true,
    };
  } catch {
    return undefined;
  }
}

function isAbsolutePath(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('/');
}

/** A program that debugpy can start: the interpreter for it, and what the interpreter runs. */
export interface PythonProgramPlan {
  readonly python: string;
  readonly command: PythonCommand;
}

/**
 * The plan's program as a Python program. `python` is the recorded interpreter, if there is one: then a
 * program that is a Python script by its first line (a command that pip installed) is one too. Undefined for
 * every other program.
 */
export async function findPythonProgram(
  shell: Shell,
  plan: ProgramPlan,
  python: string | undefined,
  signal?: AbortSignal,
): Promise<PythonProgramPlan | undefined> {
  const [program = ''] = plan.argv;
  if (isPythonInterpreter(program)) {
    const command = parsePythonCommand(plan.argv);
    return command && { python: python ?? program, command };
  }
  if (python === undefined) return undefined;
  const script = await readFirstLine(shell, plan, signal);
  const flags = parsePythonShebang(script.firstLine);
  if (flags === undefined) return undefined;
  return {
    python,
    command: {
      flags,
      target: { kind: 'program', value: script.path },
      args: plan.argv.slice(1),
    },
  };
}

const firstLineScript = `
[ -z "$2" ] || cd -- "$2" || exit 1
case $1 in
  */*) f=$1;;
  *) p=$PATH; PATH=\${3:-$PATH}; f=$(command -v "$1"); PATH=$p;;
esac
[ -f "$f" ] || exit 1
head -c 256 -- "$f" | head -n 1
printf '\\n%s' "$f"
`;

async function readFirstLine(
  shell: Shell,
  plan: ProgramPlan,
  signal?: AbortSignal,
): Promise<{ readonly firstLine: string; readonly path: string }> {
  const path = plan.env['PATH'];
  const args = [plan.argv[0] ?? '', plan.cwd ?? '', typeof path === 'string' ? path : ''];
  const { stdout, exitCode } = await shell.exec(
    { title: 'Read the first line of a program', script: firstLineScript, args },
    {},
    signal,
  );
  if (exitCode !== 0) return { firstLine: '', path: '' };
  const lines = stdout.toString('utf8').split('\n');
  return { firstLine: lines[0] ?? '', path: lines.slice(1).join('\n').replace(/^\n/, '') };
}

export interface DebugpyOptions {
  readonly stopOnEntry: boolean;
  /** True: the debugger neither stops in nor steps into libraries. */
  readonly justMyCode: boolean;
}

/**
 * Stands in for the `debugpy` directory on the interpreter's command line (`-c TEXT DIRECTORY ARGS…`) and runs
 * it in the same way, after loading what Debian has put beside it: only those packages, and only when the
 * interpreter has none of its own, since the program must find what it found when it was recorded.
 */
const starter = `
def start():
    import importlib.util, os, sys
    arguments = sys.argv[1:]
    if arguments[0] == "-X":
        del arguments[:2]
    directory = arguments[0]
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        del sys.path[0]
    for name, file in (("typing_extensions", ".py"), ("bytecode", "/__init__.py")):
        path = os.path.join(os.path.dirname(directory), name + file)
        if importlib.util.find_spec(name) is None and os.path.exists(path):
            spec = importlib.util.spec_from_file_location(name, path)
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
    sys.argv = arguments
    sys.path.insert(0, directory)
    with open(os.path.join(directory, "__main__.py")) as file:
        del globals()["start"]
        return compile(file.read(), file.name, "exec")

exec(start())
`;

/** The interpreter's words up to the place where debugpy's directory follows. */
function interpreterCommand({ python, command }: PythonProgramPlan, debugpy: Debugpy): string[] {
  const words = [python, ...command.flags];
  if (!debugpy.needsNeighbours || debugpy.python === python) return words;
  // debugpy adds this option itself, but then behind the text.
  return [...words, '-X', 'frozen_modules=off', '-c', starter];
}

const checkScript =
  'out=$("$@" 2>&1 >/dev/null </dev/null) || { printf "%s\\n" "$out" | tail -n 1; exit 1; }';

/**
 * Rejects with a UserError `debug.unusable` in the interpreter's own words when it cannot load debugpy, which
 * debugpy's adapter would only find out by waiting.
 */
export async function checkInterpreter(
  shell: Shell,
  program: PythonProgramPlan,
  debugpy: Debugpy,
  signal?: AbortSignal,
): Promise<void> {
  const args = [...interpreterCommand(program, debugpy), debugpy.directory, '--version'];
  const { stdout, exitCode } = await shell.exec(
    { title: 'Check debugpy', script: checkScript, args },
    {},
    signal,
  );
  if (exitCode !== 1) return;
  const words = toDisplay(stdout.toString('utf8').trim(), 300) || 'it cannot load debugpy';
  throw new UserError('debug.unusable', `${toDisplay(program.python, 200)} says: ${words}.`);
}

/**
 * The arguments of debugpy's `launch` request. The environment is not in them: the adapter has it, and its
 * children inherit it.
 */
export function debugpyLaunchArguments(
  program: PythonProgramPlan,
  debugpy: Debugpy,
  cwd: string | undefined,
  options: DebugpyOptions,
): Readonly<Record<string, unknown>> {
  const { command } = program;
  const { kind, value } = command.target;
  return {
    type: 'python',
    request: 'launch',
    name: 'Faultline',
    python: interpreterCommand(program, debugpy),
    [kind]: kind === 'code' ? [value] : value,
    args: command.args,
    ...(cwd === undefined ? {} : { cwd }),
    // In a terminal the program would run on the developer's own machine.
    console: 'internalConsole',
    redirectOutput: true,
    stopOnEntry: options.stopOnEntry,
    justMyCode: options.justMyCode,
    // Children under the debugger would each need a session of their own, and wait for it.
    subProcess: false,
    showReturnValue: true,
    clientOS: 'unix',
  };
}
