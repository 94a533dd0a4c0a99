// Shell → the node's processes, for choosing one to sample. Read-only, needs only /proc and a POSIX
// sh.

import type { Shell } from '../remote/shell.ts';
import { UserError } from '../base/errors.ts';

/** What a process runs on, as far as sampling is concerned. */
export type ProcessKind = 'python' | 'node' | 'other';

export interface NodeProcess {
  readonly pid: number;
  /** Name of the user, or the number where the node does not say. */
  readonly user: string;
  /** The whole command line as `ps` prints it. May hold secrets: to be shown, never stored. */
  readonly command: string;
  /**
   * Of one processor, over the fraction of a second the question took; undefined when not measured.
   */
  readonly cpuPercent: number | undefined;
  readonly kind: ProcessKind;
  /** The systemd unit or container it belongs to. */
  readonly service: string | undefined;
}

/**
 * Four sections, each introduced by a line of RS and its name. One fork a section and not one a
 * process: a node with a thousand processes answers in the same time.
 */
const listScript = `
LC_ALL=C; export LC_ALL
section() { printf '\\036%s\\n' "$1"; }
ticks() { grep -h . /proc/[0-9]*/stat 2>/dev/null; }
section ticks; getconf CLK_TCK 2>/dev/null || echo 100
section uptime1; cat /proc/uptime
section stat1; ticks
sleep 0.4 2>/dev/null || sleep 1
section uptime2; cat /proc/uptime
section stat2; ticks
section ps; ps -ww -eo pid= -o user:32= -o args= 2>/dev/null || ps -o pid,user,args
section exe; ls -l /proc/[0-9]*/exe 2>/dev/null
section cgroup; grep -H . /proc/[0-9]*/cgroup 2>/dev/null
exit 0
`;

/** All processes that have a command line, busiest first. Kernel threads are left out. */
export async function listProcesses(
  shell: Shell,
  signal?: AbortSignal,
): Promise<readonly NodeProcess[]> {
  const result = await shell.exec(
    { title: 'List processes', script: listScript },
    { maxOutputBytes: 16 << 20 },
    signal,
  );
  const processes = parseProcesses(result.stdout.toString('utf8'));
  if (processes.length === 0) {
    throw new UserError('profile.noProcesses', 'The node did not list its processes.', {
      hint: 'It needs /proc and the command ps.',
    });
  }
  return processes;
}

/**
 * Exported for tests: the list script's output → processes. Lines that make no sense are skipped.
 */
export function parseProcesses(output: string): readonly NodeProcess[] {
  const sections = splitSections(output);
  const cpu = measureCpu(sections);
  const exes = mapLines(sections.get('exe'), /\/proc\/(\d+)\/exe -> (.+)$/);
  const services = readServices(sections.get('cgroup') ?? []);
  const processes: NodeProcess[] = [];
  for (const line of sections.get('ps') ?? []) {
    const match = /^\s*(\d+)\s+(\S+)\s+(\S.*)$/.exec(line);
    if (match === null) continue;
    const [, pidText = '', user = '', command = ''] = match;
    const pid = Number(pidText);
    const exe = exes.get(pid);
    if (exe === undefined && /^\[.*\]$/.test(command)) continue;
    processes.push({
      pid,
      user,
      command,
      cpuPercent: cpu.get(pid),
      kind: kindOf(exe ?? command.split(' ', 1)[0] ?? ''),
      service: services.get(pid),
    });
  }
  return processes.sort((a, b) => (b.cpuPercent ?? 0) - (a.cpuPercent ?? 0) || a.pid - b.pid);
}

/** What the program at this path runs: interpreters are recognised by their file's name. */
export function kindOf(program: string): ProcessKind {
  const name = (program.split('/').at(-1) ?? '').replace(/ \(deleted\)$/, '');
  if (/^(?:python|pypy)[\d.]*(?:d|t|-dbg)?$/i.test(name)) return 'python';
  return /^(?:node|nodejs)[\d.]*$/i.test(name) ? 'node' : 'other';
}

function splitSections(output: string): ReadonlyMap<string, readonly string[]> {
  const sections = new Map<string, readonly string[]>();
  for (const part of output.split('\u001e').slice(1)) {
    const [name = '', ...lines] = part.split('\n');
    sections.set(name, lines);
  }
  return sections;
}

function mapLines(lines: readonly string[] = [], pattern: RegExp): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  for (const line of lines) {
    const match = pattern.exec(line);
    if (match !== null) found.set(Number(match[1]), match[2] ?? '');
  }
  return found;
}

/** Per cent of one processor between the two looks at /proc/PID/stat. */
function measureCpu(sections: ReadonlyMap<string, readonly string[]>): ReadonlyMap<number, number> {
  const perSecond = Number(sections.get('ticks')?.[0]);
  const seconds = uptime(sections.get('uptime2')) - uptime(sections.get('uptime1'));
  const percent = new Map<number, number>();
  if (!(perSecond > 0 && seconds > 0)) return percent;
  const before = readTicks(sections.get('stat1'));
  for (const [pid, ticks] of readTicks(sections.get('stat2'))) {
    const used = ticks - (before.get(pid) ?? ticks);
    if (used >= 0) percent.set(pid, Math.round((used / perSecond / seconds) * 1000) / 10);
  }
  return percent;
}

function uptime(lines: readonly string[] = []): number {
  return Number(lines[0]?.split(' ')[0]);
}

/**
 * Processor time in ticks. The program's name stands in brackets and may hold anything, also
 * brackets.
 */
function readTicks(lines: readonly string[] = []): ReadonlyMap<number, number> {
  const ticks = new Map<number, number>();
  for (const line of lines) {
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    const sum = Number(fields[11]) + Number(fields[12]);
    const pid = Number.parseInt(line, 10);
    if (Number.isFinite(sum) && Number.isInteger(pid)) ticks.set(pid, sum);
  }
  return ticks;
}

/**
 * `0::/system.slice/shop-worker.service` → `shop-worker.service`; a container is named by its short
 * id.
 */
function readServices(lines: readonly string[]): ReadonlyMap<number, string> {
  const services = new Map<number, string>();
  for (const line of lines) {
    const match = /^\/proc\/(\d+)\/cgroup:[^:]*:[^:]*:(.*)$/.exec(line);
    if (match === null) continue;
    const service = serviceOf(match[2] ?? '');
    if (service !== undefined) services.set(Number(match[1]), service);
  }
  return services;
}

function serviceOf(path: string): string | undefined {
  const container = /(docker|libpod|containerd|kubepods)[^0-9a-f]*[-/]([0-9a-f]{64})\b/.exec(path);
  if (container !== null) return `${container[1]} ${container[2]?.slice(0, 12)}`;
  return path.split('/').findLast((part) => part.endsWith('.service') && !part.startsWith('user@'));
}

/** What must be known of a process before it is sampled. */
export interface ProcessFacts {
  readonly exists: boolean;
  /** Target of /proc/PID/exe; undefined when we may not read it (another user's process). */
  readonly exe: string | undefined;
  readonly argv: readonly string[];
  /** Its present directory; undefined when we may not read it. */
  readonly cwd: string | undefined;
  readonly uid: number | undefined;
  /** The user we are on the node. */
  readonly ownUid: number | undefined;
  readonly hasPySpy: boolean;
  /** True when the program carries a Python interpreter in a library (uWSGI, embedded Python). */
  readonly embedsPython: boolean;
}

const factsScript = `
p=/proc/$1
field() { printf '%s\\000' "$1"; }
[ -d "$p" ] || { field gone; exit 0; }
field here
field "$(readlink "$p/exe" 2>/dev/null)"
field "$(readlink "$p/cwd" 2>/dev/null)"
field "$(stat -c %u "$p" 2>/dev/null)"
field "$(id -u)"
command -v py-spy >/dev/null 2>&1 && field yes || field no
grep -q 'libpython[0-9.]*[a-z]*[.]so' "$p/maps" 2>/dev/null && field yes || field no
cat "$p/cmdline" 2>/dev/null
exit 0
`;

export async function readProcessFacts(
  shell: Shell,
  pid: number,
  signal?: AbortSignal,
): Promise<ProcessFacts> {
  const result = await shell.exec(
    { title: 'Look at a process', script: factsScript, args: [String(pid)] },
    { maxOutputBytes: 4 << 20 },
    signal,
  );
  const [state, exe, cwd, uid, ownUid, hasPySpy, embedsPython, ...argv] = result.stdout
    .toString('utf8')
    .split('\0');
  if (argv.at(-1) === '') argv.pop();
  return {
    exists: state === 'here',
    exe: exe === '' ? undefined : exe,
    cwd: cwd === '' ? undefined : cwd,
    argv,
    uid: toCount(uid),
    ownUid: toCount(ownUid),
    hasPySpy: hasPySpy === 'yes',
    embedsPython: embedsPython === 'yes',
  };
}

function toCount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** Options of python and node whose value is the next word. */
const optionsWithValue: ReadonlySet<string> = new Set(['-X', '-W', '-r', '--require', '--import']);

/**
 * The program in short: the interpreter, and the script or module it runs. Other arguments are left
 * out, as they may hold secrets and the result is stored with the profile.
 */
export function shortCommand(argv: readonly string[]): string {
  const [program = '', ...rest] = argv;
  const name = program.split('/').at(-1) ?? program;
  if (kindOf(program) === 'other') return rest.length > 0 ? `${name} …` : name;
  const kept: string[] = [];
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at]!;
    if (word === '-c' || word === '-e') return [name, ...kept, word, '…'].join(' ');
    kept.push(word);
    if (optionsWithValue.has(word) && rest[at + 1] !== undefined) {
      kept.push(rest[++at]!);
      continue;
    }
    const isModule = word === '-m' && rest[at + 1] !== undefined;
    if (isModule) kept.push(rest[++at]!);
    if (isModule || !word.startsWith('-')) {
      return [name, ...kept, ...(at + 1 < rest.length ? ['…'] : [])].join(' ');
    }
  }
  return [name, ...kept].join(' ');
}
