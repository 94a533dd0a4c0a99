// What a node says of its own clock: which daemon keeps it right, whether that daemon is content, and in which
// zone the node lives. One read-only script: nothing is installed, started, written or sent over the network.

import { toDisplay } from '../base/displayText.ts';
import type { Shell } from './shell.ts';

type Daemon = 'chrony' | 'ntpd' | 'openntpd' | 'timesyncd';

/** The view of what keeps a node's clock right. */
export interface SyncState {
  /**
   * `none`: no daemon that we know runs; a kernel that is kept right from outside (a container's host) may still
   * be. `unknown`: it could not be checked.
   */
  readonly kind: Daemon | 'none' | 'unknown';
  /** By the daemon, else by the kernel; undefined when neither could be asked. */
  readonly synchronised: boolean | undefined;
  /** The node's clock minus true time, as the daemon reckons; positive when the node is ahead. */
  readonly offsetMs: number | undefined;
  /** One sentence, safe to show: to whom it is synchronised, or why not. */
  readonly detail: string;
}

/** A node's own zone, as of the time it was asked. */
export interface NodeZone {
  /** Minutes ahead of UTC. */
  readonly offsetMinutes: number;
  /** `Europe/Berlin`; undefined where the node has no name for it. */
  readonly name: string | undefined;
  /** `CET`; undefined where the node only tells numbers. */
  readonly abbreviation: string | undefined;
}

export interface ClockFacts {
  readonly sync: SyncState;
  /** Undefined when the node did not tell it. */
  readonly zone: NodeZone | undefined;
}

/**
 * Prints sections: RS, name, LF, text. Daemons are looked for in /proc, as asking one that does not run could
 * start it. `adjtimex` with no modes reads the kernel's view, which a container shares with its host.
 */
const factsScript = `
export LC_ALL=C
section() { printf '\\036%s\\n' "$1"; }
limited() {
  if command -v timeout >/dev/null 2>&1; then timeout 5 "$@"; else "$@"; fi 2>&1 </dev/null | head -c 8192
}
section zone
date '+%z %Z'
section zoneName
if [ -n "$TZ" ]; then printf '%s\\n' "$TZ"; else
  readlink /etc/localtime 2>/dev/null || head -c 200 /etc/timezone 2>/dev/null
fi
section processes
running=$(cat /proc/[0-9]*/comm 2>/dev/null | grep -xE 'chronyd|ntpd|openntpd|systemd-timesyn' | sort -u)
echo "$running"
[ -r /proc/1/comm ] || echo hidden
section chrony
if command -v chronyc >/dev/null 2>&1; then limited chronyc -n tracking; fi
section ntpd
if command -v ntpq >/dev/null 2>&1; then limited ntpq -c rv; fi
section openntpd
if command -v ntpctl >/dev/null 2>&1; then limited ntpctl -s status; fi
section timesyncd
case $running in *systemd-timesyn*)
  limited timedatectl timesync-status
  [ -e /run/systemd/timesync/synchronized ] && echo 'Faultline: synchronized';;
esac
section kernel
if command -v python3 >/dev/null 2>&1; then
  python3 -I -S -c 'import ctypes
print(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)))' 2>/dev/null
fi
section container
if [ -e /.dockerenv ] || [ -e /run/.containerenv ] || [ -e /run/systemd/container ]; then echo yes; fi
section end
`;

/** Never fails for what the node says: what it did not tell is `unknown`. Errors are the shell's own. */
export async function readClockFacts(shell: Shell, signal?: AbortSignal): Promise<ClockFacts> {
  const { stdout } = await shell.exec(
    { title: 'Ask who keeps the clock', script: factsScript },
    { timeoutMs: 30_000, maxOutputBytes: 1 << 20 },
    signal,
  );
  return parseClockFacts(stdout.toString('utf8'));
}

/** The answer of `factsScript`. */
export function parseClockFacts(output: string): ClockFacts {
  const sections = new Map(
    output.split('\u001e').flatMap((part): [string, string][] => {
      const end = part.indexOf('\n');
      return end < 0 ? [] : [[part.slice(0, end), part.slice(end + 1)]];
    }),
  );
  return { sync: readSync(sections), zone: readZone(sections) };
}

type Sections = ReadonlyMap<string, string>;

interface DaemonReader {
  readonly kind: Daemon;
  /** As its processes are called. */
  readonly processes: readonly string[];
  readonly asked: string;
  readonly read: (text: string) => DaemonAnswer | undefined;
}

interface DaemonAnswer {
  readonly synchronised: boolean;
  readonly offsetMs: number | undefined;
  readonly detail: string;
}

// ntpd is the name of three programs: what answers tells which it is.
const readers: readonly DaemonReader[] = [
  { kind: 'chrony', processes: ['chronyd'], asked: 'chronyc', read: readChrony },
  { kind: 'openntpd', processes: ['openntpd', 'ntpd'], asked: 'ntpctl', read: readOpenNtpd },
  { kind: 'ntpd', processes: ['ntpd'], asked: 'ntpq', read: readNtpd },
  {
    kind: 'timesyncd',
    processes: ['systemd-timesyn'],
    asked: 'timedatectl',
    read: readTimesyncd,
  },
];

function readSync(sections: Sections): SyncState {
  if (!sections.has('end')) {
    return notChecked(undefined, 'The node did not answer to the end.');
  }
  for (const { kind, read } of readers) {
    const answer = read(sections.get(kind) ?? '');
    if (answer !== undefined) return { kind, ...answer, detail: toDisplay(answer.detail, 200) };
  }
  const processes = (sections.get('processes') ?? '').split('\n');
  const running = readers.findLast((reader) =>
    reader.processes.some((name) => processes.includes(name)),
  );
  const kernel = readKernel(sections.get('kernel') ?? '');
  if (running !== undefined) {
    const said = (sections.get(running.kind) ?? '').trim().split('\n', 1)[0] ?? '';
    const why = said === '' ? `${running.asked} is not there to ask it` : said;
    const detail = `It runs but did not answer (${toDisplay(why, 120)}).`;
    return { kind: running.kind, synchronised: kernel, offsetMs: undefined, detail };
  }
  if (processes.includes('hidden')) {
    return notChecked(
      kernel,
      withKernel('The node does not show its processes to this login', kernel),
    );
  }
  const isContainer = (sections.get('container') ?? '').trim() === 'yes';
  const found = isContainer
    ? 'This is a container, whose host keeps the clock'
    : 'None of the usual ones runs';
  const detail = withKernel(found, kernel);
  return { kind: 'none', synchronised: kernel, offsetMs: undefined, detail };
}

function notChecked(kernel: boolean | undefined, detail: string): SyncState {
  return { kind: 'unknown', synchronised: kernel, offsetMs: undefined, detail };
}

function withKernel(found: string, kernel: boolean | undefined): string {
  if (kernel === undefined) return `${found}.`;
  return `${found}; the kernel says that the clock is ${kernel ? '' : 'not '}synchronised.`;
}

/** adjtimex(2) answers 5 (TIME_ERROR) for a clock that nobody keeps right, 0 to 4 for one that somebody does. */
function readKernel(text: string): boolean | undefined {
  const state = /^([0-5])$/.exec(text.trim())?.[1];
  return state === undefined ? undefined : state !== '5';
}

/** `chronyc tracking`: https://chrony-project.org/doc/4.3/chronyc.html#tracking */
function readChrony(text: string): DaemonAnswer | undefined {
  const fields = fieldsOf(text);
  const leap = fields.get('Leap status');
  if (leap === undefined) return undefined;
  const synchronised = leap !== 'Not synchronised';
  if (!synchronised) {
    return { synchronised, offsetMs: undefined, detail: 'It has no time source it trusts.' };
  }
  const [, seconds, direction] =
    /^(\d+\.\d+) seconds (slow|fast) of NTP time$/.exec(fields.get('System time') ?? '') ?? [];
  const size = seconds === undefined ? undefined : Number(seconds) * 1000;
  const server = /\((.*)\)$/.exec(fields.get('Reference ID') ?? '')?.[1] ?? '';
  return {
    synchronised,
    offsetMs: size === undefined || direction === 'fast' ? size : -size,
    detail: synchronisedTo(server, fields.get('Stratum')),
  };
}

/** `name : value` a line. */
function fieldsOf(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n').map((line) => /^\s*([^:]{1,40}?)\s*: (.{0,300})$/.exec(line));
  return new Map(
    lines.flatMap((match) => (match === null ? [] : [[match[1] ?? '', (match[2] ?? '').trim()]])),
  );
}

/** `ntpq -c rv`, of ntpd and NTPsec: the system variables, separated by commas. */
function readNtpd(text: string): DaemonAnswer | undefined {
  if (!/\bassocid=0\b/.test(text)) return undefined;
  const synchronised = !/\bleap_(alarm|unsync)\b/.test(text) && !/\bsync_unspec\b/.test(text);
  if (!synchronised) {
    return { synchronised, offsetMs: undefined, detail: 'It has no time source it trusts.' };
  }
  const value = (name: string): string | undefined =>
    new RegExp(`\\b${name}=([^,\\s]{1,60})`).exec(text)?.[1];
  return {
    synchronised,
    // Its offset is what has to be added to the node's clock.
    offsetMs: negated(numberOf(value('offset'))),
    detail: synchronisedTo(value('refid') ?? '', value('stratum')),
  };
}

/** `ntpctl -s status`: `4/4 peers valid, clock synced, stratum 3`. */
function readOpenNtpd(text: string): DaemonAnswer | undefined {
  const match = /\bclock (synced|unsynced)\b/.exec(text);
  if (match === null) return undefined;
  const synchronised = match[1] === 'synced';
  const stratum = /\bstratum (\d{1,2})\b/.exec(text)?.[1];
  return {
    synchronised,
    offsetMs: undefined,
    detail: synchronised ? synchronisedTo('', stratum) : (text.trim().split('\n', 1)[0] ?? ''),
  };
}

/** `timedatectl timesync-status` (systemd 239 and later), else the mark that timesyncd leaves in /run. */
function readTimesyncd(text: string): DaemonAnswer | undefined {
  const fields = fieldsOf(text);
  const isMarked = fields.get('Faultline') === 'synchronized';
  const server = fields.get('Server');
  if (server === undefined && !isMarked) return undefined;
  const offset = fields.get('Offset');
  const synchronised = isMarked || (offset !== undefined && fields.get('Packet count') !== '0');
  return {
    synchronised,
    offsetMs: synchronised ? negated(spanMs(offset)) : undefined,
    detail: synchronised
      ? synchronisedTo(server?.replace(/ .*$/, '') ?? '', fields.get('Stratum'))
      : 'It has had no answer from a time server yet.',
  };
}

function synchronisedTo(server: string, stratum: string | undefined): string {
  const to = server === '' ? 'Synchronised' : `Synchronised to ${server}`;
  return stratum === undefined ? `${to}.` : `${to}, stratum ${stratum}.`;
}

function numberOf(text: string | undefined): number | undefined {
  const value = text === undefined || text === '' ? NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
}

function negated(value: number | undefined): number | undefined {
  return value === undefined ? undefined : 0 - value;
}

const unitsMs: Readonly<Record<string, number>> = {
  us: 1e-3,
  ms: 1,
  s: 1e3,
  min: 60e3,
  h: 3600e3,
  d: 86400e3,
};

/** A time span of systemd: `-1.205ms`, `+35us`, `+1min 2.5s`. */
function spanMs(text: string | undefined): number | undefined {
  const match = /^([+-]?)((?:\d+(?:\.\d+)?(?:us|ms|s|min|h|d) ?){1,6})$/.exec(text ?? '');
  if (match === null) return undefined;
  const parts = [...(match[2] ?? '').matchAll(/([\d.]+)([a-z]+)/g)];
  const size = parts.reduce(
    (sum, [, value, unit = '']) => sum + Number(value) * (unitsMs[unit] ?? 0),
    0,
  );
  return match[1] === '-' ? -size : size;
}

function readZone(sections: Sections): NodeZone | undefined {
  const match = /^([+-])(\d{2})(\d{2}) (\S{0,20})$/m.exec(sections.get('zone') ?? '');
  if (match === null) return undefined;
  const [, sign, hours, minutes, abbreviation = ''] = match;
  const size = Number(hours) * 60 + Number(minutes);
  // Zones without a name of their own are called by their number: that says nothing new.
  const isNamed = /^[A-Za-z]{2,10}$/.test(abbreviation);
  return {
    offsetMinutes: sign === '-' ? 0 - size : size,
    name: zoneName(sections.get('zoneName') ?? ''),
    abbreviation: isNamed ? abbreviation : undefined,
  };
}

/** `/usr/share/zoneinfo/Europe/Berlin`, `:Europe/Berlin`, `Etc/UTC`; undefined for a rule such as `CET-1CEST`. */
function zoneName(text: string): string | undefined {
  const name = text
    .trim()
    .replace(/^:/, '')
    .replace(/^.*zoneinfo\/(?:posix\/|right\/)?/, '');
  return /^[A-Za-z][\w+-]{0,30}(?:\/[\w+-]{1,30}){0,2}$/.test(name) &&
    !/\d/.test(name.split('/')[0]!)
    ? name
    : undefined;
}
