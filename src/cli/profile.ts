// faultline profile NODE PID [--seconds N] [--rate HZ] [--kind cpu|wall] -o FILE

import { constants } from 'node:fs';
import { access, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import { formatIso } from '../base/time.ts';
import { profileFormat, type ProfileFormat } from '../profile/profileFile.ts';
import { defaultKind, measuredKinds, type Profile, type WeightKind } from '../profile/profile.ts';
import {
  defaultRateHz,
  defaultSeconds,
  maxRateHz,
  maxSeconds,
  sampleProcess,
  type SampleTarget,
} from '../profile/sampler.ts';
import { summarize, type ProfileSummary } from '../profile/summary.ts';
import type { Node } from '../remote/node.ts';
import {
  exitCodes,
  findNode,
  print,
  wrongUse,
  type CliCommand,
  type CliContext,
} from './context.ts';

const usage = 'faultline profile NODE PID [--seconds N] [--rate HZ] [--kind cpu|wall] -o FILE';

interface ProfileRequest {
  readonly node: Node;
  readonly target: SampleTarget;
  readonly file: string;
  readonly format: ProfileFormat;
  /** The kind of weight for formats that hold one, and for the summary. */
  readonly kind: WeightKind | undefined;
}

const topFunctions = 10;

export const profileCommand: CliCommand = async (args, context) => {
  const request = parseRequest(args, context);
  await checkWritable(request.file);
  const shell = await context.access.shell(request.node, context.signal);
  const showProgress = progressLine(context, request.target);
  const profile = await sampleProcess(
    shell,
    request.target,
    { onProgress: ({ elapsedMs, samples }) => showProgress(elapsedMs, samples) },
    context.signal,
  ).finally(() => showProgress(undefined, 0));
  const kind = chooseKind(profile, request.kind);
  await write(request.file, request.format.write(profile, kind));
  const summary = summarize(profile, kind, topFunctions);
  print(context, report(request, profile, summary), () => describe(request, profile, summary));
  return exitCodes.done;
};

function parseRequest(args: readonly string[], context: CliContext): ProfileRequest {
  const { values, positionals } = parse(args);
  const [nodeName, pidText, ...rest] = positionals;
  if (nodeName === undefined || pidText === undefined || rest.length > 0) {
    throw wrongUse('A node and the number of one of its processes are needed.', usage);
  }
  if (values.output === undefined) throw wrongUse('-o FILE says where the profile goes.', usage);
  const node = findNode(nodeName, context.access.nodes);
  return {
    node,
    target: {
      node: node.name,
      pid: amount('PID', pidText, 2 ** 31 - 1, /^\d+$/),
      seconds: amount('--seconds', values.seconds ?? String(defaultSeconds), maxSeconds),
      rateHz: amount('--rate', values.rate ?? String(defaultRateHz), maxRateHz),
    },
    file: values.output,
    format: formatOf(values.output),
    kind: kindOf(values.kind),
  };
}

function parse(args: readonly string[]): {
  readonly values: Readonly<Record<'seconds' | 'rate' | 'kind' | 'output', string | undefined>>;
  readonly positionals: readonly string[];
} {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        seconds: { type: 'string' },
        rate: { type: 'string' },
        kind: { type: 'string' },
        output: { type: 'string', short: 'o' },
      },
    });
    const { seconds, rate, kind, output } = values;
    return { values: { seconds, rate, kind, output }, positionals };
  } catch (error) {
    throw wrongUse(error instanceof Error ? error.message : String(error), usage);
  }
}

function amount(name: string, text: string, most: number, shape = /^\d+(?:\.\d+)?$/): number {
  const value = Number(text);
  if (!shape.test(text) || !(value > 0 && value <= most)) {
    throw wrongUse(`${name} must be a number above 0 and at most ${most}, not "${text}".`);
  }
  return value;
}

function kindOf(text: string | undefined): WeightKind | undefined {
  if (text === undefined || text === 'cpu' || text === 'wall') return text;
  throw wrongUse(`--kind is cpu or wall, not "${text}".`);
}

function formatOf(file: string): ProfileFormat {
  try {
    return profileFormat(file);
  } catch (error) {
    throw error instanceof UserError ? wrongUse(error.message, error.hint) : error;
  }
}

/** Found out before the seconds of sampling, not after. */
async function checkWritable(file: string): Promise<void> {
  try {
    await access(file, constants.W_OK);
  } catch {
    try {
      await access(path.dirname(file), constants.W_OK | constants.X_OK);
    } catch {
      throw wrongUse(`${file} cannot be written: its folder is missing or closed to you.`);
    }
  }
}

async function write(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError('cli.cannotWrite', `${file} cannot be written: ${reason}.`, {
      cause: error,
    });
  }
}

/** Cpu can be asked for only where it was measured. */
function chooseKind(profile: Profile, wanted: WeightKind | undefined): WeightKind {
  const isMeasured = wanted !== undefined && measuredKinds(profile).includes(wanted);
  return isMeasured ? wanted : defaultKind(profile);
}

/**
 * One line that is written over on a terminal, and nothing elsewhere. An undefined time clears it.
 */
function progressLine(
  { stderr }: CliContext,
  { node, pid, seconds }: SampleTarget,
): (elapsedMs: number | undefined, samples: number) => void {
  const isTerminal = (stderr as { readonly isTTY?: boolean }).isTTY === true;
  if (!isTerminal) return () => undefined;
  return (elapsedMs, samples) => {
    const now = ((elapsedMs ?? 0) / 1000).toFixed(1);
    const text = `Sampling ${pid} on ${node}: ${now} of ${seconds} s, ${samples} samples`;
    stderr.write(`\r\u001b[K${elapsedMs === undefined ? '' : text}`);
  };
}

function report(request: ProfileRequest, profile: Profile, summary: ProfileSummary): unknown {
  const { meta } = profile;
  return {
    file: request.file,
    format: request.format.ending.slice(1),
    node: meta.node,
    pid: meta.pid,
    command: meta.command,
    startedAt: meta.startedAt === undefined ? null : formatIso(meta.startedAt),
    seconds: meta.durationMs / 1000,
    rateAskedHz: meta.rateAskedHz ?? null,
    rateGotHz: meta.rateGotHz ?? null,
    kind: summary.kind,
    samples: summary.weights,
    threads: profile.threads,
    sampler: {
      name: meta.sampler.name,
      reason: meta.sampler.reason,
      cpuSeconds: meta.sampler.cpuSeconds ?? null,
    },
    missed: meta.missed,
    torn: meta.torn,
    notes: meta.notes,
    top: summary.top,
  };
}

function describe(request: ProfileRequest, profile: Profile, summary: ProfileSummary): string {
  const { meta } = profile;
  const seconds = (meta.durationMs / 1000).toFixed(1);
  return [
    `${toDisplay(meta.command, 200)} (${meta.pid} on ${meta.node}), ${seconds} s`,
    [samplesText(summary), ...rateText(profile), samplerText(profile, summary)].join(', '),
    ...(meta.missed + meta.torn > 0 ? [`${meta.missed} missed, ${meta.torn} torn`] : []),
    '',
    ...topLines(summary),
    '',
    ...meta.notes.map((note) => `Note: ${toDisplay(note)}`),
    `Sampler: ${toDisplay(meta.sampler.reason)}`,
    `Written: ${request.file}`,
  ].join('\n');
}

function samplesText({ weights: { cpu, wall } }: ProfileSummary): string {
  const all = `${wall ?? cpu ?? 0} samples`;
  return wall === undefined || cpu === undefined ? all : `${all}, ${cpu} of them on a processor`;
}

function rateText({ meta: { rateGotHz, rateAskedHz } }: Profile): string[] {
  if (rateAskedHz === undefined) return [];
  return [
    rateGotHz === undefined ? `${rateAskedHz} Hz` : `${rateGotHz.toFixed(1)} of ${rateAskedHz} Hz`,
  ];
}

function samplerText({ meta }: Profile, { samplerShare }: ProfileSummary): string {
  const cost =
    samplerShare === undefined
      ? 'its cost was not measured'
      : `it used ${percent(samplerShare)} of one processor`;
  return `by ${meta.sampler.name}: ${cost}`;
}

function topLines({ kind, top }: ProfileSummary): string[] {
  if (top.length === 0) return ['  no samples'];
  return [
    `  self  total  function (${kind === 'cpu' ? 'processor time' : 'all time'})`,
    ...top.map(({ selfShare, totalShare, name, file, line }) => {
      const place = file === '' ? '' : `  ${toDisplay(file, 200)}:${line}`;
      const shares = [selfShare, totalShare].map((share) => percent(share).padStart(6)).join(' ');
      return `${shares}  ${toDisplay(name, 80)}${place}`;
    }),
  ];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}
