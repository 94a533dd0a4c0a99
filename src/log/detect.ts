// A line → what it says, by whichever format recognises it. Each line is looked at by itself, so files that
// mix formats work; the order and the cheap first look keep it fast.

import { json } from './formats/json.ts';
import { logfmt } from './formats/logfmt.ts';
import { pythonLogging } from './formats/pythonLogging.ts';
import type { LogFormat } from './formats/format.ts';
import type { ContextId, Fields, Level } from './logEntry.ts';
import { parseEpoch, parseTimestamp } from './timestamp.ts';
import type { EpochMs, UtcOffsetMinutes } from '../base/time.ts';

/** All formats, in the order in which they are tried. */
export const formats: readonly LogFormat[] = [json, pythonLogging, logfmt];

/** What the first line of an entry says. */
export interface ParsedLine {
  readonly format: LogFormat;
  readonly nodeTime: EpochMs | undefined;
  readonly level: Level | undefined;
  readonly contextId: ContextId | undefined;
  readonly message: string;
  readonly fields: Fields;
}

/** Undefined for a line that starts no entry of any format: a continuation line, or plain text. Never throws. */
export function parseLine(line: string, zone: UtcOffsetMinutes): ParsedLine | undefined {
  for (const format of formats) {
    const fields = readFields(format, line);
    if (fields !== undefined) return interpret(format, fields, zone);
  }
  return undefined;
}

/** For nodes: a POSIX extended regular expression that the first lines of all formats match. */
export const startsPattern = formats.map((format) => `(${format.starts})`).join('|');

/** What a view that shows time, level, message and context id has left to list of an entry's fields. */
export function remainingFields(format: string, fields: Fields): Fields {
  const found = formats.find((candidate) => candidate.name === format);
  if (found === undefined) return fields;
  const shown = new Set([...found.time, ...found.level, ...found.message, ...found.contextId]);
  return Object.fromEntries(
    Object.entries(fields).filter(([name, value]) => !(shown.has(name) && isScalar(value))),
  );
}

const runPattern = /\brun(?:_id|Id)?["']?\s*[=:]\s*["']?(r-\d{8}T\d{6}-[0-9a-f]{8})(?![\w-])/;

/** The id of the run record that an entry names as `run=r-…` or in a field `run`, `run_id` or `runId`. */
export function findRunId(raw: string): string | undefined {
  return raw.includes('r-') ? runPattern.exec(raw)?.[1] : undefined;
}

function readFields(format: LogFormat, line: string): Fields | undefined {
  if (format.fields === 'json') return readJson(line);
  if (format.fields === 'logfmt') return readLogfmt(line);
  const first = line.charCodeAt(0);
  // Every text layout we know starts with a date; a digit is the cheapest thing to look for.
  if (first < 0x30 || first > 0x39) return undefined;
  const groups = format.fields.exec(line)?.groups;
  return groups === undefined
    ? undefined
    : Object.fromEntries(Object.entries(groups).map(([name, text]) => [name, text ?? '']));
}

// --- JSON ---------------------------------------------------------------------------------------------

function readJson(line: string): Fields | undefined {
  const text = line.trim();
  if (!text.startsWith('{') || !text.endsWith('}') || isTooDeep(text)) return undefined;
  try {
    const value: unknown = /\d{16}/.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    // Not JSON after all, or cut at the line limit: it stays as text.
    return undefined;
  }
}

/** Objects in objects without end: reading them is easy, but every later step over them would overflow. */
function isTooDeep(text: string): boolean {
  const most = 200;
  if (text.length < 2 * most) return false;
  let depth = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1;
    // Brackets in strings count too; no log line has that many by chance.
    if (depth > most) return true;
  }
  return false;
}

/** An integer that a double cannot hold stays the text it was (where the engine tells us: Node 21 on). */
function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && /^-?\d+$/.test(source) ? source : value;
}

// --- logfmt -------------------------------------------------------------------------------------------

const logfmtStart = /^[A-Za-z_@][\w.@/-]*=/;

function readLogfmt(line: string): Fields | undefined {
  if (!logfmtStart.test(line)) return undefined;
  const entries: [string, string][] = [];
  let pairs = 0;
  // The quoted part is written without alternatives inside a repetition, which a megabyte would overflow.
  const token = /([^\s="]+)(?:=(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^\s"]*)))?(?=\s|$)\s*/gy;
  while (token.lastIndex < line.length) {
    const match = token.exec(line);
    if (match === null) return undefined;
    const [, name, quoted, bare] = match;
    if (quoted !== undefined || bare !== undefined) pairs++;
    entries.push([name!, quoted === undefined ? (bare ?? '') : unescape(quoted)]);
  }
  // One pair, or more bare words than pairs, is a sentence that happens to hold an equals sign.
  return pairs >= 2 && entries.length - pairs <= pairs ? Object.fromEntries(entries) : undefined;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

function unescape(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_, code?: string, char?: string) =>
    code === undefined ? (escapes[char!] ?? char!) : String.fromCharCode(parseInt(code, 16)),
  );
}

// --- what fields mean ---------------------------------------------------------------------------------

function interpret(format: LogFormat, fields: Fields, zone: UtcOffsetMinutes): ParsedLine {
  return {
    format,
    nodeTime: first(fields, format.time, (value) => toTime(value, zone)),
    level: first(fields, format.level, (value) =>
      isScalar(value) ? own(format.levelNames, String(value).toLowerCase()) : undefined,
    ),
    contextId: first(fields, format.contextId, (value, name) => toContextId(value, name, format)),
    message:
      first(fields, format.message, (value) => (isScalar(value) ? String(value) : undefined)) ?? '',
    fields,
  };
}

/** The first field of these names whose value means something. */
function first<T>(
  fields: Fields,
  names: readonly string[],
  read: (value: unknown, name: string) => T | undefined,
): T | undefined {
  for (const name of names) {
    const value = lookUp(fields, name);
    if (value === undefined || value === null) continue;
    const result = read(value, name);
    if (result !== undefined) return result;
  }
  return undefined;
}

/** `req.id` is the field of that name, or the field `id` of the object `req`. Own fields only. */
function lookUp(fields: Fields, name: string): unknown {
  const flat = own(fields, name);
  if (flat !== undefined || !name.includes('.')) return flat;
  let value: unknown = fields;
  for (const part of name.split('.')) {
    if (!isRecord(value)) return undefined;
    value = own(value, part);
  }
  return value;
}

function toTime(value: unknown, zone: UtcOffsetMinutes): EpochMs | undefined {
  if (typeof value === 'number') return parseEpoch(value);
  if (typeof value !== 'string') return undefined;
  return /^\d+(?:\.\d+)?$/.test(value) ? parseEpoch(Number(value)) : parseTimestamp(value, zone);
}

/** W3C traceparent: version-traceid-parentid-flags; an all-zero trace id is invalid. */
const traceparent = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

function toContextId(value: unknown, name: string, format: LogFormat): ContextId | undefined {
  if (!isScalar(value) || typeof value === 'boolean') return undefined;
  const text = String(value);
  if (name === 'traceparent') return traceparent.exec(text)?.[1];
  return format.noContext.includes(text) ? undefined : text;
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
