// How likely a difference between two environments changes what a program does there. One scale for
// comparing nodes and for the preflight of a run.

import { parse as parsePep440 } from '@renovatebot/pep440/lib/version.js';
import semver from 'semver/functions/parse.js';

/**
 * `high` breaks programs, `medium` often matters, `low` seldom, `info` is harmless or changes by itself.
 */
export type Severity = 'high' | 'medium' | 'low' | 'info';

export const severities: readonly Severity[] = ['high', 'medium', 'low', 'info'];

/** Sorts worst first. */
export function compareSeverity(a: Severity, b: Severity): number {
  return severities.indexOf(a) - severities.indexOf(b);
}

/** One step less, but still a difference. */
export function lessSevere(severity: Severity): Severity {
  return severity === 'high' ? 'medium' : severity === 'medium' ? 'low' : severity;
}

/** The part of a version number in which two versions first differ. */
export type VersionChange = 'none' | 'major' | 'minor' | 'patch' | 'suffix' | 'unknown';

/** By PEP 440. `1.0` and `1.0.0` are the same version. */
export function pythonVersionChange(a: string, b: string): VersionChange {
  if (a === b) return 'none';
  const left = parsePep440(a);
  const right = parsePep440(b);
  if (left === null || right === null) return 'unknown';
  if (left.epoch !== right.epoch) return 'major';
  const change = releaseChange(left.release, right.release);
  return change === 'none' ? suffixChange(left, right) : change;
}

/** Equal for two spellings of one version, as `1.0` and `1.0.0`. What is no version stands for itself. */
export function canonicalPythonVersion(version: string): string {
  // Nearly all are plain numbers: a fleet has a hundred thousand of them.
  if (plainRelease.test(version)) return withoutTrailingZeros(version);
  const parsed = parsePep440(version);
  if (parsed === null) return version;
  const { epoch, release, pre, post, dev, local } = parsed;
  const plain = withoutTrailingZeros(release.join('.'));
  const rest = [pre, post, dev, local];
  const isPlain = epoch === 0 && rest.every((part) => part == null);
  return isPlain ? plain : JSON.stringify([epoch, plain, ...rest]);
}

const plainRelease = /^(0|[1-9]\d*)(\.(0|[1-9]\d*))*$/;

function withoutTrailingZeros(release: string): string {
  let end = release.length;
  while (release.endsWith('.0', end)) end -= 2;
  return release.slice(0, end);
}

type Parsed = NonNullable<ReturnType<typeof parsePep440>>;

/** Alphas, betas, posts and local labels; trailing zeros of the release make no difference. */
function suffixChange(a: Parsed, b: Parsed): VersionChange {
  const suffix = ({ pre, post, dev, local }: Parsed): string =>
    JSON.stringify([pre, post, dev, local].map((part) => part ?? null));
  return suffix(a) === suffix(b) ? 'none' : 'suffix';
}

/** By semver, for Node.js. */
export function nodeVersionChange(a: string, b: string): VersionChange {
  if (a === b) return 'none';
  const left = semver(a);
  const right = semver(b);
  if (left === null || right === null) return 'unknown';
  const change = releaseChange(
    [left.major, left.minor, left.patch],
    [right.major, right.minor, right.patch],
  );
  return change === 'none' ? 'suffix' : change;
}

function releaseChange(a: readonly number[], b: readonly number[]): VersionChange {
  const length = Math.max(a.length, b.length);
  for (let at = 0; at < length; at++) {
    if ((a[at] ?? 0) !== (b[at] ?? 0)) return at === 0 ? 'major' : at === 1 ? 'minor' : 'patch';
  }
  return 'none';
}

/** Years: from here on a major number is a date, and a new one every year says little. */
const firstCalendarVersion = 1900;

/**
 * Of a Python distribution whose version differs; null is "not installed". A package that a program needs
 * and does not find breaks it: who knows that it is needed raises the answer.
 */
export function packageSeverity(a: string | null, b: string | null): Severity {
  if (a === b) return 'info';
  if (a === null || b === null) return 'medium';
  const change = pythonVersionChange(a, b);
  const major = Number(/\d+/.exec(a.replace(/^\d+!/, ''))?.[0]);
  switch (change) {
    case 'none':
      return 'info';
    case 'major':
      return major >= firstCalendarVersion ? 'medium' : 'high';
    case 'minor':
      // Before 1.0 the minor number is where a package breaks its promises.
      return major === 0 ? 'high' : major >= firstCalendarVersion ? 'low' : 'medium';
    case 'patch':
    case 'suffix':
      return 'low';
    case 'unknown':
      return 'medium';
  }
}

/** Of a Python interpreter: every minor version removes something. */
export function interpreterSeverity(a: string, b: string): Severity {
  switch (pythonVersionChange(a, b)) {
    case 'none':
      return 'info';
    case 'patch':
    case 'suffix':
      return 'low';
    default:
      return 'high';
  }
}

/** Of Node.js. */
export function nodeSeverity(a: string, b: string): Severity {
  switch (nodeVersionChange(a, b)) {
    case 'none':
      return 'info';
    case 'major':
    case 'unknown':
      return 'high';
    default:
      return 'low';
  }
}

interface VariableRule {
  readonly names: RegExp;
  readonly reason: string;
}

/** Variables that differ although nothing is different, with the reason to show. */
const harmlessVariables: readonly VariableRule[] = [
  {
    names: /^(SSH_(CLIENT|CONNECTION|TTY|AUTH_SOCK|AGENT_PID|USER_AUTH))$/,
    reason: 'of this connection',
  },
  {
    names: /^(_|SHLVL|OLDPWD|PWD|COLUMNS|LINES|SECONDS|RANDOM|BASHPID|PPID)$/,
    reason: 'set by the shell itself',
  },
  {
    names:
      /^(XDG_SESSION_(ID|TYPE|CLASS)|XDG_RUNTIME_DIR|XDG_SEAT|XDG_VTNR|DBUS_SESSION_BUS_(ADDRESS|PID))$/,
    reason: 'of this login session',
  },
  {
    names:
      /^(INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID|MAINPID|NOTIFY_SOCKET|WATCHDOG_PID|MEMORY_PRESSURE_WATCH|MANAGERPID)$/,
    reason: 'new at every start of a service',
  },
  {
    names:
      /^(TERM(_(PROGRAM|PROGRAM_VERSION|SESSION_ID))?|COLORTERM|WINDOWID|TMUX(_PANE)?|STY|WINDOW|KONSOLE_.*|VTE_VERSION|VSCODE_.*|DISPLAY|WAYLAND_DISPLAY|GPG_TTY)$/,
    reason: 'of the terminal',
  },
  { names: /^(HOSTNAME|HOST)$/, reason: "the node's own name" },
  { names: /^FAULTLINE_(RUN_ID|CONTEXT_ID|RUN)$/, reason: 'of one recorded run' },
  {
    names:
      /^(LS_COLORS|LSCOLORS|PS[1-4]|PROMPT(_COMMAND)?|HIST[A-Z]*|LESS(OPEN|CLOSE)?|PAGER|MANPATH|INFOPATH|MAIL|MOTD_SHOWN)$/,
    reason: 'comfort of an interactive shell',
  },
];

/** Why a difference of this variable is harmless, or undefined when it may matter. */
export function harmlessVariable(name: string): string | undefined {
  return harmlessVariables.find(({ names }) => names.test(name))?.reason;
}

/** They choose what code is loaded, or run code before the program. */
const loaderVariables =
  /^(LD_(PRELOAD|LIBRARY_PATH|AUDIT)|DYLD_.*|PYTHON(PATH|HOME|STARTUP|OPTIMIZE|WARNINGS|UTF8|HASHSEED|IOENCODING|NOUSERSITE)|NODE_(OPTIONS|PATH|ENV)|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JAVA_HOME|CLASSPATH|PERL5(LIB|OPT)|RUBY(LIB|OPT)|GEM_(HOME|PATH)|BASH_ENV|ENV|VIRTUAL_ENV|CONDA_PREFIX|MALLOC_.*|GLIBC_TUNABLES|OMP_.*|CUDA_.*)$/;

const preferenceVariables =
  /^(EDITOR|VISUAL|BROWSER|LANGUAGE|DEBIAN_FRONTEND|NO_COLOR|FORCE_COLOR|CLICOLOR|GREP_.*|PIP_.*|npm_config_.*)$/;
const identityVariables = /^(HOME|USER|LOGNAME|SHELL|USERNAME|XDG_.*)$/;
const localeVariables = /^(LANG|LC_[A-Z]+|TZ)$/;

/** Of a variable whose value differs; null is "not set". */
export function variableSeverity(name: string, a: string | null, b: string | null): Severity {
  if (a === b || harmlessVariable(name) !== undefined) return 'info';
  if (loaderVariables.test(name)) return 'high';
  if (name === 'PATH' || localeVariables.test(name)) return 'medium';
  if (identityVariables.test(name) || preferenceVariables.test(name)) return 'low';
  // What a program reads and does not find is a KeyError; another value is another behaviour.
  return a === null || b === null ? 'high' : 'medium';
}
