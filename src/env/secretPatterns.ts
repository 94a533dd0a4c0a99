// What is taken for a secret, as data. The one truth is the table inside the recorder
// (src/probe/python/faultline_probe.py), which masks on the node and has to be a single file; it is read
// from there, so both sides cannot disagree about it.

import * as v from 'valibot';
import { probeSource } from '../probe/sources.ts';
import { HintIndex } from './hintIndex.ts';

const patterns = v.array(v.string());

const tableSchema = v.object({
  version: v.literal(1),
  /** Of normalised names; see `normaliseName`. Harmless ones win. */
  secretNames: patterns,
  harmlessNames: patterns,
  /** Names that promise a path: harmless when the value is one. */
  pathNames: patterns,
  pathValue: v.string(),
  /** Names that say little: secret when the value looks random. */
  looseNames: patterns,
  looseValue: v.string(),
  /** Never secret, whatever the name: `true`, `${VAR}`, already masked. */
  harmlessValues: patterns,
  /** Examples and placeholders inside a text. */
  decoyValues: patterns,
  secretValues: v.array(
    v.object({
      id: v.string(),
      flags: v.picklist(['', 'i']),
      /** Lower-case texts; without any of them in the lower-cased text the pattern is not tried. */
      hints: patterns,
      pattern: v.string(),
    }),
  ),
  /** Options of programs whose value is a secret although the option's name does not say so. */
  argvOptions: v.array(
    v.object({
      programs: patterns,
      option: v.string(),
      /** `glued`: the value follows the option in the same word; `any`: or is the next word. */
      form: v.picklist(['glued', 'any']),
      part: v.picklist(['all', 'afterColon']),
    }),
  ),
  argvSecretNames: patterns,
  argvHarmlessNames: patterns,
});

export type SecretTable = v.InferOutput<typeof tableSchema>;

/** A text pattern that gives a secret away. */
export interface SecretValueRule {
  readonly id: string;
  /** Global, with indices. Group 1 is the secret where there is one, else the whole match. */
  readonly pattern: RegExp;
}

export interface SecretRules {
  readonly secretName: RegExp;
  readonly harmlessName: RegExp;
  readonly pathName: RegExp;
  readonly pathValue: RegExp;
  readonly looseName: RegExp;
  readonly looseValue: RegExp;
  readonly harmlessValue: RegExp;
  readonly decoyValue: RegExp;
  /** By their hints. */
  readonly values: HintIndex<SecretValueRule>;
  readonly argvOptions: SecretTable['argvOptions'];
  readonly argvSecretName: RegExp;
  readonly argvHarmlessName: RegExp;
}

const begin = '# secret-patterns-begin';
const end = '# secret-patterns-end';

/** The JSON between the markers in the recorder's source. */
export function readSecretTable(recorderSource: string): SecretTable {
  const from = recorderSource.indexOf(begin);
  const to = recorderSource.indexOf(end);
  const part = from < 0 || to < 0 ? '' : recorderSource.slice(from, to);
  const json = /'''([\s\S]*?)'''/.exec(part)?.[1];
  if (json === undefined) throw new Error('The recorder holds no table of secret patterns.');
  return v.parse(tableSchema, JSON.parse(json));
}

export function compileSecretTable(table: SecretTable): SecretRules {
  return {
    secretName: anyOf(table.secretNames),
    harmlessName: anyOf(table.harmlessNames),
    pathName: anyOf(table.pathNames),
    pathValue: new RegExp(table.pathValue),
    looseName: anyOf(table.looseNames),
    looseValue: new RegExp(table.looseValue),
    harmlessValue: anyOf(table.harmlessValues, 'i'),
    decoyValue: anyOf(table.decoyValues),
    values: new HintIndex(
      table.secretValues.map(({ id, flags, hints, pattern }) => ({
        id,
        hints,
        pattern: new RegExp(pattern, `dg${flags}`),
      })),
      ({ hints }) => hints,
    ),
    argvOptions: table.argvOptions,
    argvSecretName: anyOf(table.argvSecretNames),
    argvHarmlessName: anyOf(table.argvHarmlessNames),
  };
}

function anyOf(sources: readonly string[], flags = ''): RegExp {
  return new RegExp(sources.map((source) => `(?:${source})`).join('|'), flags);
}

let rules: SecretRules | undefined;

export function secretRules(): SecretRules {
  rules ??= compileSecretTable(readSecretTable(probeSource('python/faultline_probe.py')));
  return rules;
}
