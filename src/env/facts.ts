// What facts.sh printed → the chapters of a snapshot. Pure: every answer a node may give, also a broken or
// hostile one, becomes facts or a sentence why there are none.

import type {
  EnvSnapshot,
  PythonInterpreter,
  Disk,
  Unavailable,
  Variables,
} from './envSnapshot.ts';
import { decodeText, pairUp, splitNul, type Section } from './sections.ts';

export type Sections = ReadonlyMap<string, Section>;
type Chapters = Omit<
  EnvSnapshot,
  'format' | 'version' | 'node' | 'takenAt' | 'durationMs' | 'partial' | 'redaction' | 'clock'
>;

/** Masks a set of variables; the only way they leave this file. */
export type Redact = (variables: Readonly<Record<string, string>>) => Variables;

/** The node's own time when it was asked, in epoch seconds. */
export function nodeTimeOf(sections: Sections): number | undefined {
  const now = timezoneFields(sections).get('now')?.split(' ')[0] ?? '';
  return /^\d{1,12}$/.test(now) ? Number(now) : undefined;
}

/** `word` is the one the script was given: it marks where the start-up files' own output ends. */
export function readChapters(sections: Sections, word: string, redact: Redact): Chapters {
  const plain = readEnvironment(sections.get('plainEnv')?.content ?? Buffer.alloc(0));
  return {
    os: readOs(sections),
    user: readUser(sections, plain),
    command: readCommand(sections),
    limits: readLimits(sections),
    locale: readLocale(sections, plain),
    timezone: readTimezone(sections, plain),
    cpu: readCpu(sections),
    memory: readMemory(sections),
    disks: readDisks(sections),
    env: {
      loginShell: readLoginShell(sections, word, redact),
      plainCommand: readPlainCommand(sections, plain, redact),
    },
    pythons: readPythons(sections),
    nodejs: readNodejs(sections),
    systemPackages: readSystemPackages(sections),
  };
}

/** Why a section holds nothing, as a sentence without its end. */
function whyMissing(section: Section | undefined, what: string): Unavailable {
  if (section === undefined) return { unavailable: 'the node ended its answer before this' };
  switch (section.exitCode) {
    case undefined:
      return { unavailable: 'the node did not finish this in time' };
    case 124:
    case 137:
    case 143:
      return { unavailable: `${what} timed out` };
    case 126:
      return { unavailable: `${what} may not be run` };
    case 127:
      return { unavailable: `${what} is missing on this node` };
    case 0:
      return { unavailable: `${what} said nothing` };
    default:
      return { unavailable: `${what} failed with exit code ${section.exitCode}` };
  }
}

function textOf(sections: Sections, name: string): string {
  return decodeText(sections.get(name)?.content ?? Buffer.alloc(0));
}

/** Longer than any line of these answers; a longer one is not worth a pattern's time. */
const maxLineLength = 8192;

function linesOf(sections: Sections, name: string): string[] {
  return textOf(sections, name).split('\n').filter(isUsable);
}

function isUsable(line: string): boolean {
  return line !== '' && line.length <= maxLineLength;
}

// --- System -------------------------------------------------------------------------------------------------

function readOs(sections: Sections): Chapters['os'] {
  const [kernelName, hostname, kernel, machine] = textOf(sections, 'uname').trim().split(/\s+/);
  if (kernelName === undefined || hostname === undefined || kernel === undefined) {
    return whyMissing(sections.get('uname'), 'uname');
  }
  const release = readOsRelease(linesOf(sections, 'osRelease'));
  return {
    source: release.size > 0 ? 'uname, os-release' : 'uname',
    prettyName: release.get('PRETTY_NAME') ?? release.get('ProductName') ?? kernelName,
    id: release.get('ID') ?? null,
    versionId: release.get('VERSION_ID') ?? release.get('ProductVersion') ?? null,
    kernelName,
    kernel,
    machine: machine ?? '',
    hostname,
  };
}

/** os-release(5), or the `Name: value` of macOS' sw_vers. */
function readOsRelease(lines: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    lines.flatMap((line) => {
      const match = /^([A-Za-z_]+)(?:=|:\s+)(.*)$/.exec(line);
      return match === null ? [] : [[match[1] as string, unquote(match[2] as string)] as const];
    }),
  );
}

function unquote(value: string): string {
  const match = /^(["'])(.*)\1$/.exec(value);
  return match === null ? value : (match[2] as string).replace(/\\(["'$`\\])/g, '$1');
}

function readCpu(sections: Sections): Chapters['cpu'] {
  const fields = new Map(linesOf(sections, 'cpu').map((line) => splitOnce(line, ' ')));
  const count = readCount(fields.get('count'));
  if (count === undefined) return whyMissing(sections.get('cpu'), '/proc/cpuinfo');
  return {
    source: '/proc/cpuinfo',
    model: fields.get('model') ?? '',
    count,
    usable: readCount(fields.get('usable')) ?? null,
  };
}

function readMemory(sections: Sections): Chapters['memory'] {
  const fields = new Map(linesOf(sections, 'memory').map((line) => splitOnce(line, ': ')));
  const bytes = (name: string): number | undefined => {
    const kibibytes = readCount(fields.get(name));
    return kibibytes === undefined ? undefined : kibibytes * 1024;
  };
  const totalBytes = bytes('MemTotal');
  if (totalBytes === undefined) return whyMissing(sections.get('memory'), '/proc/meminfo');
  return {
    source: '/proc/meminfo',
    totalBytes,
    availableBytes: bytes('MemAvailable') ?? null,
    swapBytes: bytes('SwapTotal') ?? null,
  };
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}

function readCount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text.trim()) ? Number(text) : undefined;
}

// --- User and limits ----------------------------------------------------------------------------------------

function readUser(sections: Sections, plain: ReadonlyMap<string, string>): Chapters['user'] {
  const match =
    /^uid=(\d+)(?:\((.*?)\))? gid=(\d+)(?:\(.*?\))?(?: groups=(.*?))?(?: context=.*)?$/.exec(
      textOf(sections, 'id').trim(),
    );
  if (match === null) return whyMissing(sections.get('id'), 'id');
  const [, uid = '', name, gid, groups = ''] = match;
  const account = textOf(sections, 'passwd').trim().split(':');
  return {
    source: 'id, passwd',
    name: name ?? uid,
    uid: Number(uid),
    gid: Number(gid),
    groups:
      groups === '' ? [] : groups.split(',').map((group) => /\((.*)\)$/.exec(group)?.[1] ?? group),
    home: account[5] ?? plain.get('HOME') ?? '',
    shell: account[6] ?? plain.get('SHELL') ?? '',
  };
}

function readCommand(sections: Sections): Chapters['command'] {
  const fields = new Map(pairUp(splitNul(sections.get('command')?.content ?? Buffer.alloc(0))));
  const umask = fields.get('umask') ?? '';
  const physical = fields.get('physical') ?? '';
  if (!/^[0-7]{1,4}$/.test(umask)) return whyMissing(sections.get('command'), 'umask');
  return {
    source: 'umask, pwd',
    cwd: { logical: fields.get('cwd') ?? physical, physical },
    umask: umask.padStart(4, '0'),
  };
}

/** The words of /proc/PID/limits → the names of setrlimit(2) in lower case. */
const limitNames: ReadonlyMap<string, string> = new Map([
  ['cpu time', 'cpu'],
  ['file size', 'fsize'],
  ['data size', 'data'],
  ['stack size', 'stack'],
  ['core file size', 'core'],
  ['resident set', 'rss'],
  ['processes', 'nproc'],
  ['open files', 'nofile'],
  ['locked memory', 'memlock'],
  ['address space', 'as'],
  ['file locks', 'locks'],
  ['pending signals', 'sigpending'],
  ['msgqueue size', 'msgqueue'],
  ['nice priority', 'nice'],
  ['realtime priority', 'rtprio'],
  ['realtime timeout', 'rttime'],
]);

/** `ulimit` counts some limits in blocks or kibibytes, setrlimit in bytes. */
const ulimitUnits: ReadonlyMap<string, number> = new Map([
  ['fsize', 512],
  ['core', 512],
  ['data', 1024],
  ['stack', 1024],
  ['rss', 1024],
  ['memlock', 1024],
  ['as', 1024],
]);

function readLimits(sections: Sections): Chapters['limits'] {
  const limits: [string, readonly [number, number]][] = [];
  let source = '/proc/self/limits';
  for (const line of linesOf(sections, 'limits')) {
    const proc = /^Max (\w+(?: \w+)*?)\s{2,}(\d+|unlimited)\s+(\d+|unlimited)\b/.exec(line);
    const ulimit = /^ulimit (\w+) (\d+|unlimited) (\d+|unlimited)$/.exec(line);
    const name = proc === null ? ulimit?.[1] : limitNames.get(proc[1] as string);
    const values = proc ?? ulimit;
    if (name === undefined || values === null) continue;
    const unit = proc === null ? (ulimitUnits.get(name) ?? 1) : 1;
    limits.push([name, [readLimit(values[2], unit), readLimit(values[3], unit)]]);
    if (proc === null) source = 'ulimit';
  }
  if (limits.length === 0) return whyMissing(sections.get('limits'), 'ulimit');
  return { source, limits: Object.fromEntries(limits) as Record<string, [number, number]> };
}

function readLimit(text: string | undefined, unit: number): number {
  return text === 'unlimited' ? -1 : Number(text) * unit;
}

function readLocale(sections: Sections, plain: ReadonlyMap<string, string>): Chapters['locale'] {
  const charmap = sections.get('charmap');
  if (charmap === undefined || sections.get('plainEnv') === undefined) {
    return whyMissing(charmap, 'locale');
  }
  const variables = [...plain].filter(([name]) => /^(LANG|LANGUAGE|LC_[A-Z]+)$/.test(name));
  const name = textOf(sections, 'charmap').trim();
  return {
    source:
      name === '' ? 'the variables of a plain command' : 'the variables of a plain command, locale',
    variables: Object.fromEntries(variables),
    charmap: name === '' ? null : name,
  };
}

function timezoneFields(sections: Sections): ReadonlyMap<string, string> {
  return new Map(pairUp(splitNul(sections.get('timezone')?.content ?? Buffer.alloc(0))));
}

function readTimezone(
  sections: Sections,
  plain: ReadonlyMap<string, string>,
): Chapters['timezone'] {
  const fields = timezoneFields(sections);
  const [, abbreviation, offset = ''] = fields.get('now')?.split(' ') ?? [];
  if (abbreviation === undefined) return whyMissing(sections.get('timezone'), 'date');
  const link = /zoneinfo\/(?:posix\/|right\/)?(.+)$/.exec(fields.get('link') ?? '')?.[1];
  const match = /^([+-])(\d\d)(\d\d)$/.exec(offset);
  const minutes = match === null ? null : Number(match[2]) * 60 + Number(match[3]);
  return {
    source: link === undefined ? 'date, /etc/timezone' : 'date, /etc/localtime',
    tz: plain.get('TZ') ?? null,
    zone: link ?? fields.get('file') ?? null,
    abbreviation,
    offsetMinutes: minutes === null ? null : match?.[1] === '-' ? -minutes : minutes,
  };
}

// --- Disks --------------------------------------------------------------------------------------------------

interface Mount {
  readonly device: string;
  readonly fileSystem: string;
}

function readDisks(sections: Sections): Chapters['disks'] {
  const mounts = readMounts(linesOf(sections, 'mounts'));
  const local = readDf(textOf(sections, 'disks'), mounts, false);
  const shared = readDf(textOf(sections, 'networkDisks'), mounts, true);
  if (local.length + shared.length === 0) return whyMissing(sections.get('disks'), 'df');
  const notes = (['disks', 'networkDisks'] as const).flatMap((name) => {
    const exitCode = sections.get(name)?.exitCode;
    const which = name === 'disks' ? 'local file systems' : 'network file systems';
    return exitCode === 0 ? [] : [`${which}: ${whyMissing(sections.get(name), 'df').unavailable}`];
  });
  return { source: 'df', disks: [...local, ...shared], notes };
}

/** By mount point; the last one mounted there is the one that is seen. */
function readMounts(lines: readonly string[]): ReadonlyMap<string, Mount> {
  return new Map(
    lines.flatMap((line) => {
      const [device, point, fileSystem] = line.split(' ');
      return device === undefined || point === undefined || fileSystem === undefined
        ? []
        : [[unescapeMount(point), { device: unescapeMount(device), fileSystem }] as const];
    }),
  );
}

/** /proc/mounts writes blanks and backslashes as octal escapes. */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(parseInt(octal, 8)),
  );
}

/** Two tables of df: kibibytes, a line of RS, inodes. */
function readDf(text: string, mounts: ReadonlyMap<string, Mount>, isShared: boolean): Disk[] {
  const [sizes = '', counts = ''] = text.split('\u001e');
  const inodes = new Map(readDfTable(counts).map((row) => [row.mount, row]));
  return readDfTable(sizes).map(({ device, mount, total, used, available }) => {
    const counted = inodes.get(mount);
    return {
      mount,
      device: mounts.get(mount)?.device ?? device,
      fileSystem: mounts.get(mount)?.fileSystem ?? null,
      isShared,
      sizeBytes: total * 1024,
      usedBytes: used * 1024,
      availableBytes: available * 1024,
      inodes:
        counted === undefined || counted.total === 0
          ? null
          : { total: counted.total, used: counted.used },
    };
  });
}

function readDfTable(text: string): {
  readonly device: string;
  readonly mount: string;
  readonly total: number;
  readonly used: number;
  readonly available: number;
}[] {
  return text
    .split('\n')
    .filter(isUsable)
    .flatMap((line) => {
      const match = /^(.{1,4096}?)\s+(\d+)\s+(\d+)\s+(\d+)\s+(?:\d+%|-)\s+(\/.{0,4096})$/.exec(
        line,
      );
      if (match === null) return [];
      const [, device = '', total, used, available, mount = ''] = match;
      return [
        { device, mount, total: Number(total), used: Number(used), available: Number(available) },
      ];
    });
}

// --- Variables ----------------------------------------------------------------------------------------------

/** `NAME=value` in NULs. The first of two values of one name is the one that getenv() finds. */
function readEnvironment(bytes: Buffer): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  for (const text of splitNul(bytes)) {
    const [name, value] = splitOnce(text, '=');
    if (text.includes('=') && !variables.has(name)) variables.set(name, value);
  }
  return variables;
}

function readPlainCommand(
  sections: Sections,
  plain: ReadonlyMap<string, string>,
  redact: Redact,
): Chapters['env']['plainCommand'] {
  const section = sections.get('plainEnv');
  if (section?.exitCode !== 0) return whyMissing(section, 'env');
  return {
    source: 'the environment of a command over SSH',
    variables: redact(Object.fromEntries(plain)),
  };
}

function readLoginShell(
  sections: Sections,
  word: string,
  redact: Redact,
): Chapters['env']['loginShell'] {
  const section = sections.get('loginEnv');
  if (section === undefined) return whyMissing(section, 'the login shell');
  const shellEnd = section.content.indexOf(0);
  const shell = decodeText(section.content.subarray(0, Math.max(shellEnd, 0)));
  const name = shell === '' ? 'the login shell' : `the login shell ${shell}`;
  const marker = `\u001e${word}\n`;
  const markerStart = section.content.indexOf(marker, shellEnd + 1);
  if (section.exitCode !== 0 && section.exitCode !== undefined) {
    return whyMissing(section, `${name}, with its start-up files,`);
  }
  if (section.exitCode === undefined) return whyMissing(section, name);
  if (markerStart < 0) {
    return { unavailable: `${name} ended in its start-up files` };
  }
  return {
    source: `${shell} as a login shell`,
    shell,
    variables: redact(
      Object.fromEntries(readEnvironment(section.content.subarray(markerStart + marker.length))),
    ),
  };
}

// --- Software -----------------------------------------------------------------------------------------------

function readPythons(sections: Sections): Chapters['pythons'] {
  const section = sections.get('pythons');
  if (section?.exitCode === 127) {
    return { source: 'no python3 was found', interpreters: [], notes: [] };
  }
  if (section?.exitCode === 126) return { unavailable: 'Python was not to be started' };
  if (section?.exitCode !== 0) return whyMissing(section, 'python3');
  const tokens = splitNul(section.content);
  const notes: string[] = [];
  const interpreters: InterpreterFields[] = [];
  let at = 0;
  while (at + 1 < tokens.length) {
    const field = tokens[at] as string;
    const value = tokens[at + 1] as string;
    const current = interpreters.at(-1);
    at += 2;
    if (field === 'note') notes.push(value);
    else if (field === 'python')
      interpreters.push({ executable: value, fields: new Map(), foundBy: [], packages: [] });
    else if (field === 'package') current?.packages.push([value, tokens[at++] ?? '']);
    else if (field === 'foundBy') current?.foundBy.push(value);
    else current?.fields.set(field, value);
  }
  return {
    source: 'names of *.dist-info and *.egg-info; each program started once for its version',
    interpreters: interpreters.map(toInterpreter),
    notes,
  };
}

interface InterpreterFields {
  readonly executable: string;
  readonly fields: Map<string, string>;
  readonly foundBy: string[];
  readonly packages: [string, string][];
}

function toInterpreter({
  executable,
  fields,
  foundBy,
  packages,
}: InterpreterFields): PythonInterpreter {
  const field = (name: string): string => fields.get(name) ?? '';
  return {
    executable,
    realExecutable: field('real'),
    version: field('version'),
    implementation: field('implementation'),
    prefix: field('prefix'),
    basePrefix: field('basePrefix'),
    isVenv: field('isVenv') === '1',
    isInUse: field('inUse') === '1',
    foundBy,
    packages: Object.fromEntries(packages),
  };
}

function readNodejs(sections: Sections): Chapters['nodejs'] {
  const section = sections.get('nodejs');
  if (section?.exitCode !== 0) return whyMissing(section, 'node');
  const fields = new Map(pairUp(splitNul(section.content)));
  const executable = fields.get('executable');
  if (executable === undefined) return { source: 'PATH of a plain command', runtimes: [] };
  const version = (fields.get('version') ?? '').replace(/^v/, '');
  return version === ''
    ? { unavailable: `${executable} did not say its version` }
    : { source: fields.get('source') ?? 'node --version', runtimes: [{ executable, version }] };
}

function readSystemPackages(sections: Sections): Chapters['systemPackages'] {
  const section = sections.get('systemPackages');
  const [manager = '', ...lines] = linesOf(sections, 'systemPackages');
  if (section?.exitCode !== 0 || !['dpkg', 'apk', 'rpm'].includes(manager)) {
    return section?.exitCode === 127
      ? { unavailable: 'no dpkg, apk or rpm on this node' }
      : whyMissing(section, manager === '' ? 'the package manager' : manager);
  }
  const packages = new Map<string, string>();
  for (const line of lines) {
    const [name = '', version, architecture = ''] = line.split(' ');
    if (version === undefined) continue;
    // rpm says (none) for the usual epoch 0.
    const shown = version.replace(/^(?:\(none\)|0):/, '');
    packages.set(packages.has(name) ? `${name}:${architecture}` : name, shown);
  }
  return {
    source: manager === 'rpm' ? 'rpm -qa' : `the database of ${manager}`,
    manager,
    packages: Object.fromEntries(packages),
  };
}
