// A snapshot taken apart for keeping: what lasts, chapter by chapter, and what changes by itself. Two snapshots
// whose lasting parts are equal are one version of an environment.

import { createHash } from 'node:crypto';
import type { EnvSnapshot } from './envSnapshot.ts';
import { nearlyFull } from './scalarFacts.ts';
import { harmlessVariable } from './severity.ts';

/** JSON as it is read from a file, before it is checked. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

export interface SnapshotParts {
  /** What is not of a chapter: the node, when it was asked, the clock. */
  readonly head: JsonObject;
  /** By chapter (`os`, `env.loginShell`), what lasts. */
  readonly lasting: ReadonlyMap<string, JsonObject>;
  /** By chapter, what was left out of it. */
  readonly passing: Readonly<Record<string, Json>>;
}

/** Facts of the moment, not of the environment; the clock's offset is looked at apart. */
const headNames = new Set([
  'format',
  'version',
  'node',
  'takenAt',
  'durationMs',
  'partial',
  'redaction',
  'clock',
]);

export function takeApart(snapshot: EnvSnapshot): SnapshotParts {
  // What is parsed from the text of a snapshot is JSON.
  const document = JSON.parse(JSON.stringify(snapshot)) as JsonObject;
  const head: Record<string, Json> = {};
  const lasting = new Map<string, JsonObject>();
  const passing: Record<string, Json> = {};
  for (const [name, chapter] of chaptersOf(document)) {
    if (headNames.has(name) || !isObject(chapter)) {
      head[name] = chapter;
      continue;
    }
    const split = splitters[name];
    if (split === undefined || 'unavailable' in chapter) lasting.set(name, chapter);
    else {
      const parts = split.apart(chapter);
      lasting.set(name, parts.lasting);
      passing[name] = parts.passing;
    }
  }
  return { head, lasting, passing };
}

/** The document again, to be checked as any that comes from a file. */
export function putTogether({ head, lasting, passing }: SnapshotParts): JsonObject {
  const document: Record<string, Json> = { ...head };
  const env: Record<string, Json> = {};
  for (const [name, chapter] of lasting) {
    const split = splitters[name];
    const rest = Object.hasOwn(passing, name) ? passing[name] : undefined;
    const whole =
      split === undefined || rest === undefined || 'unavailable' in chapter
        ? chapter
        : split.together(chapter, rest);
    if (name.startsWith('env.')) env[name.slice('env.'.length)] = whole;
    else document[name] = whole;
  }
  return { ...document, env };
}

/** `env` holds chapters itself. */
function chaptersOf({ env, ...rest }: JsonObject): readonly (readonly [string, Json])[] {
  const inner = env !== undefined && isObject(env) ? Object.entries(env) : [];
  return [
    ...Object.entries(rest),
    ...inner.map(([name, chapter]) => [`env.${name}`, chapter] as const),
  ];
}

/** Equal texts are equal values: the names of objects are in one order. */
export function canonicalJson(value: Json): string {
  return JSON.stringify(value, (_, inner: Json) =>
    isObject(inner) && !Array.isArray(inner)
      ? // From entries: a variable may be called `__proto__`.
        Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** What a part is called by: the hash of its text. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// --- What changes by itself ---------------------------------------------------------------------------------

interface Splitter {
  readonly apart: (chapter: JsonObject) => {
    readonly lasting: JsonObject;
    readonly passing: Json;
  };
  readonly together: (lasting: JsonObject, passing: Json) => JsonObject;
}

/** Variables of the connection, the terminal, the shell itself. */
const variables: Splitter = {
  apart: (chapter) => {
    const entries = Object.entries(asObject(chapter.variables));
    const isPassing = ([name]: readonly [string, Json]): boolean =>
      harmlessVariable(name) !== undefined;
    return {
      lasting: {
        ...chapter,
        variables: Object.fromEntries(entries.filter((entry) => !isPassing(entry))),
      },
      passing: Object.fromEntries(entries.filter(isPassing)),
    };
  },
  together: (lasting, passing) => ({
    ...lasting,
    variables: Object.fromEntries([
      ...Object.entries(asObject(lasting.variables)),
      ...Object.entries(asObject(passing)),
    ]),
  }),
};

/** Fields of the items of a list, which keep their order, and fields of the chapter. */
function fields(options: {
  readonly list?: string;
  readonly ofItems?: readonly string[];
  readonly ofChapter?: readonly string[];
  /** What of an item's passing fields lasts after all. */
  readonly keep?: (item: JsonObject) => JsonObject;
}): Splitter {
  const { list = '', ofItems = [], ofChapter = [], keep = () => ({}) } = options;
  const itemsOf = (chapter: JsonObject): readonly JsonObject[] =>
    asArray(chapter[list]).filter(isObject);
  return {
    apart: (chapter) => {
      const items = itemsOf(chapter);
      const kept = items.map((item) => ({ ...omit(item, ofItems), ...keep(item) }));
      return {
        lasting: { ...omit(chapter, ofChapter), ...(list === '' ? {} : { [list]: kept }) },
        passing: {
          chapter: pick(chapter, ofChapter),
          items: items.map((item) => pick(item, ofItems)),
        },
      };
    },
    together: (lasting, passing) => {
      const rest = asObject(passing);
      const ofEach = asArray(rest.items);
      const items = itemsOf(lasting).map((item, at) => ({
        ...item,
        ...asObject(ofEach[at] ?? null),
      }));
      return {
        ...lasting,
        ...asObject(rest.chapter),
        ...(list === '' ? {} : { [list]: items }),
      };
    },
  };
}

const splitters: Readonly<Record<string, Splitter | undefined>> = {
  'env.loginShell': variables,
  'env.plainCommand': variables,
  memory: fields({ ofChapter: ['availableBytes'] }),
  disks: fields({
    list: 'disks',
    ofItems: ['usedBytes', 'availableBytes', 'inodes'],
    ofChapter: ['notes'],
    // A disk that fills up is a change.
    keep: (disk) => ({ isNearlyFull: isNearlyFull(disk) }),
  }),
  // Which interpreter a process uses changes as processes come and go.
  pythons: fields({
    list: 'interpreters',
    ofItems: ['isInUse', 'foundBy'],
    ofChapter: ['notes'],
  }),
};

function isNearlyFull(disk: JsonObject): boolean {
  const { used, total } = asObject(disk.inodes);
  const bytes = share(disk.usedBytes, Number(disk.usedBytes) + Number(disk.availableBytes));
  return bytes >= nearlyFull || share(used, Number(total)) >= nearlyFull;
}

function share(part: Json | undefined, whole: number): number {
  return typeof part === 'number' && whole > 0 ? part / whole : 0;
}

function omit(object: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}

function pick(object: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => names.includes(name)));
}

function asObject(value: Json | undefined): JsonObject {
  return value !== undefined && isObject(value) ? value : {};
}

function asArray(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}
