// What the readers of profile files share: the head of a profile that no sampler of ours took, and
// errors.

import { UserError } from '../../base/errors.ts';
import type { ProfileMeta, WeightUnit } from '../profile.ts';

export interface ImportedMeta {
  readonly format: string;
  readonly unit: WeightUnit;
  readonly command?: string;
  readonly startedAt?: number;
  readonly durationMs?: number;
  readonly notes?: readonly string[];
}

export function importedMeta(options: ImportedMeta): ProfileMeta {
  return {
    node: '',
    pid: undefined,
    command: options.command ?? '',
    startedAt: options.startedAt,
    durationMs: options.durationMs ?? 0,
    unit: options.unit,
    rateAskedHz: undefined,
    rateGotHz: undefined,
    sampler: { name: 'file', reason: `Read from a ${options.format} file.`, cpuSeconds: undefined },
    missed: 0,
    torn: 0,
    notes: options.notes ?? [],
  };
}

/** The file is not what its ending says; `why` is half a sentence. */
export function badProfile(format: string, why: string): UserError {
  return new UserError('profile.badFile', `This is not a ${format} profile: ${why}.`);
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** The file's text as a JSON object. */
export function parseJsonObject(format: string, text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UserError('profile.badFile', `This ${format} profile is not JSON.`, { cause });
  }
  if (!isObject(value)) throw badProfile(format, 'it holds no object');
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asArray(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

export function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A finite number, or `otherwise`. */
export function asNumber<T>(value: unknown, otherwise: T): number | T {
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise;
}
