// The `faultline.*` settings the core needs, from a JSONC file or from VS Code, validated in one place.

import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  parse,
  parseTree,
  findNodeAtLocation,
  printParseErrorCode,
  type ParseError,
} from 'jsonc-parser';
import * as v from 'valibot';
import { UserError } from '../base/errors.ts';
import { listHosts } from './sshConfig.ts';
import { isSafeHostName } from './sshDestination.ts';
import type { Node } from './node.ts';

const nodeSchema = v.object({
  name: v.pipe(v.string(), v.minLength(1, 'is empty')),
  host: v.optional(v.string()),
  labels: v.optional(v.array(v.string()), []),
  logs: v.optional(v.array(v.string()), []),
});

export interface Settings {
  readonly nodes: readonly Node[];
  /** Undefined: OpenSSH's own default. */
  readonly sshConfigFile: string | undefined;
}

const maxSettingsBytes = 1 << 20;

/**
 * Reads a JSONC settings file (comments and trailing commas are allowed). A missing file is empty settings
 * unless `isRequired`. Errors are UserErrors `settings.…` that name the line.
 */
export async function readSettings(file: string, isRequired: boolean): Promise<Settings> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (!isRequired && error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return { nodes: [], sshConfigFile: undefined };
    }
    throw new UserError('settings.unreadable', `The settings file ${file} cannot be read.`, {
      hint: 'Check the path after --settings.',
      cause: error,
    });
  }
  if (text.length > maxSettingsBytes) {
    throw new UserError('settings.tooLarge', `The settings file ${file} is larger than 1 MiB.`);
  }
  return parseSettings(text, file);
}

export function parseSettings(text: string, file: string): Settings {
  const problems: ParseError[] = [];
  const options = { allowTrailingComma: true, allowEmptyContent: true };
  const values = parse(text, problems, options) as unknown;
  const problem = problems[0];
  if (problem !== undefined) {
    throw invalid(file, lineOf(text, problem.offset), printParseErrorCode(problem.error));
  }
  const root = isRecord(values) ? values : {};
  try {
    return {
      nodes: parseNodes(root['faultline.nodes']),
      sshConfigFile: parsePath(root['faultline.ssh.configFile']),
    };
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    throw invalid(file, lineOf(text, offsetOf(text, error.path)), error.message);
  }
}

/** Where a value stands in the text, or the nearest thing around it when it is missing. */
function offsetOf(text: string, path: readonly (string | number)[]): number {
  const tree = parseTree(text, [], { allowTrailingComma: true });
  for (let length = path.length; tree !== undefined && length > 0; length--) {
    const found = findNodeAtLocation(tree, path.slice(0, length));
    if (found !== undefined) return found.offset;
  }
  return 0;
}

/** A setting with a wrong value; `path` leads to it from the root of the settings. */
export class SettingError extends Error {
  readonly path: readonly (string | number)[];

  constructor(path: readonly (string | number)[], message: string) {
    super(message);
    this.path = path;
  }
}

/** Checks the value of `faultline.nodes`. Throws a SettingError. */
export function parseNodes(value: unknown): Node[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    throw new SettingError(['faultline.nodes'], '"faultline.nodes" is not a list');
  }
  const names = new Set<string>();
  return value.map((item: unknown, index) => {
    const checked = v.safeParse(nodeSchema, item);
    if (!checked.success) {
      const issue = checked.issues[0];
      const path = (issue.path ?? []).map((step) => step.key as string | number);
      throw new SettingError(
        ['faultline.nodes', index, ...path],
        `"faultline.nodes", entry ${index + 1}: ${[...path, wordsOf(issue)].join(': ')}`,
      );
    }
    const { name, host = name, labels, logs } = checked.output;
    if (!isSafeHostName(host)) {
      throw new SettingError(
        ['faultline.nodes', index],
        `"faultline.nodes", entry ${index + 1}: "${host.slice(0, 80)}" is not a valid host name`,
      );
    }
    if (names.has(name)) {
      throw new SettingError(['faultline.nodes', index], `the node "${name}" stands there twice`);
    }
    names.add(name);
    return { name, host, labels, logs, origin: 'settings' as const };
  });
}

function wordsOf(issue: { readonly received: string; readonly message: string }): string {
  return issue.received === 'undefined' ? 'is missing' : issue.message;
}

function parsePath(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  return value.startsWith('~/') ? join(homedir(), value.slice(2)) : value;
}

/** The configured nodes, then the hosts of the ssh configuration that none of them stands for. */
export async function combineNodes(
  configured: readonly Node[],
  sshConfigFile: string | undefined,
): Promise<Node[]> {
  const taken = new Set(configured.flatMap((node) => [node.name, node.host]));
  const hosts = await listHosts(sshConfigFile);
  const others = hosts
    .filter((host) => !taken.has(host))
    .map((host): Node => ({ name: host, host, labels: [], logs: [], origin: 'sshConfig' }));
  return [...configured, ...others];
}

function invalid(file: string, line: number, reason: string): UserError {
  return new UserError('settings.invalid', `${file}:${line}: ${reason}.`, {
    hint: 'Correct that line, then try again.',
  });
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
