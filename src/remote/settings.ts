// The `faultline.*` settings the core needs, from a JSONC file or from VS Code, validated in one place.

import type { Stats } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve, sep } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  parse,
  parseTree,
  findNodeAtLocation,
  printParseErrorCode,
  type ParseError,
} from 'jsonc-parser';
import * as v from 'valibot';
import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import { listHosts } from './sshConfig.ts';
import type { Node } from './node.ts';
import { expandNodes, maxNodes, WrongRange } from './nodeRange.ts';
import { isMissing } from './sshConfigLines.ts';
import { parseDestination } from './sshDestination.ts';
import { isTransportSetting, type TransportSetting } from './transportSetting.ts';

const words = v.array(
  v.pipe(v.string('is not a text'), v.minLength(1, 'is empty')),
  'is not a list',
);
const text = v.pipe(
  v.string('is not a text'),
  v.minLength(1, 'is empty'),
  v.maxLength(255, 'is too long'),
);

const nodeSchema = v.strictObject({
  name: text,
  host: v.optional(text),
  labels: v.optional(words, []),
  logs: v.optional(words, []),
});

/** Nodes that share a group's name, labels and logs; a plain text is a node's name. */
const groupSchema = v.strictObject({
  group: text,
  nodes: v.array(v.unknown(), 'is not a list'),
  labels: v.optional(words, []),
  logs: v.optional(words, []),
});

type NodeEntry = v.InferOutput<typeof nodeSchema>;
type GroupEntry = v.InferOutput<typeof groupSchema>;

export interface Settings {
  readonly nodes: readonly Node[];
  /** Undefined: OpenSSH's own default. */
  readonly sshConfigFile: string | undefined;
  /** The `ssh` program; undefined: the first on the PATH. */
  readonly sshPath?: string | undefined;
  /** Undefined: `auto`. */
  readonly sshTransport?: TransportSetting | undefined;
}

const maxSettingsBytes = 1 << 20;

/**
 * Reads a JSONC settings file (comments and trailing commas are allowed). A file that the user named may be
 * anywhere (`isRequired`). One that is only looked for comes with the folder: when it is missing it is empty, and it
 * must not lead out of that folder (T-24). Errors are UserErrors `settings.…` that name the line.
 */
export async function readSettings(file: string, isRequired: boolean): Promise<Settings> {
  let about: Stats;
  let text: string;
  try {
    about = await stat(file);
    if (!isRequired) await refuseOutside(file, about);
    if (about.size > maxSettingsBytes) throw tooLarge(file);
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (!isRequired && isMissing(error)) return { nodes: [], sshConfigFile: undefined };
    throw unreadable(file, error);
  }
  return parseSettings(text, file);
}

function tooLarge(file: string): UserError {
  return new UserError('settings.tooLarge', `The settings file ${file} is larger than 1 MiB.`);
}

function unreadable(file: string, cause: unknown): UserError {
  return new UserError('settings.unreadable', `The settings file ${file} cannot be read.`, {
    hint: 'Check the path after --settings.',
    cause,
  });
}

/** `.vscode` or the file in it may be a link that came with a cloned folder. */
async function refuseOutside(file: string, about: Stats): Promise<void> {
  if (!about.isFile()) throw unreadable(file, undefined);
  const [real, folder] = await Promise.all([
    realpath(file),
    realpath(dirname(dirname(resolve(file)))),
  ]);
  if (real.startsWith(folder.endsWith(sep) ? folder : folder + sep)) return;
  throw new UserError('settings.outside', `${file} is a link that leads out of its folder.`, {
    hint: `If you trust it, name it: --settings ${file}`,
  });
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
  const { nodes, problems: wrong } = parseNodes(root[setting]);
  const [first, ...others] = wrong;
  if (first !== undefined) {
    const more = others.length === 0 ? '' : ` (and ${others.length} more entries are wrong)`;
    throw invalid(file, lineOf(text, offsetOf(text, first.path)), first.message + more);
  }
  const transport = root['faultline.ssh.transport'];
  return {
    nodes,
    sshConfigFile: parsePath(root['faultline.ssh.configFile']),
    sshPath: parsePath(root['faultline.ssh.path']),
    sshTransport: isTransportSetting(transport) ? transport : undefined,
  };
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
  readonly path: Path;

  constructor(path: Path, message: string) {
    super(message);
    this.path = path;
  }

  in(owner: string): SettingError {
    return new SettingError(this.path, `In ${owner}, ${this.message}`);
  }

  /** Which entry of `faultline.nodes` it is about, e.g. `entry 3`. */
  get entry(): string {
    return entryOf(this.path);
  }
}

/** The nodes that could be read, and one sentence for each entry that could not. */
export interface NodesSetting {
  readonly nodes: readonly Node[];
  readonly problems: readonly SettingError[];
}

/**
 * Checks the value of `faultline.nodes`: nodes and groups of nodes, whose names may hold ranges. A wrong entry is
 * a problem, and the others still count.
 */
export function parseNodes(
  value: unknown,
  taken: Taken = { nodes: new Map(), owner: '' },
): NodesSetting {
  const reading = new NodesReading(taken);
  if (value === undefined || value === null) return reading;
  if (!Array.isArray(value)) {
    reading.problems.push(new SettingError([setting], `"${setting}" is not a list`));
    return reading;
  }
  for (const [index, item] of value.entries()) {
    if (isRecord(item) && 'group' in item) reading.readGroup(item, [setting, index]);
    else reading.readNode(item, [setting, index]);
  }
  return reading;
}

/** The nodes of several lists, each with words for where it stands. For a name in two, the first list counts. */
export function readNodeSettings(
  lists: readonly { readonly owner: string; readonly value: unknown }[],
): NodesSetting {
  const nodes: Node[] = [];
  const problems: SettingError[] = [];
  let owner = '';
  for (const list of lists) {
    const taken = { nodes: new Map(nodes.map((node) => [node.name, node])), owner };
    const found = parseNodes(list.value, taken);
    nodes.push(...found.nodes);
    problems.push(...found.problems.map((problem) => problem.in(list.owner)));
    owner = list.owner;
  }
  return { nodes, problems };
}

const setting = 'faultline.nodes';

/** Nodes that stand elsewhere already, and where. The same node there and here is no problem. */
interface Taken {
  readonly nodes: ReadonlyMap<string, Node>;
  readonly owner: string;
}

type Path = readonly (string | number)[];

class NodesReading implements NodesSetting {
  readonly nodes: Node[] = [];
  readonly problems: SettingError[] = [];
  private readonly taken: Taken;
  private readonly names = new Set<string>();

  constructor(taken: Taken) {
    this.taken = taken;
  }

  readGroup(item: unknown, path: Path): void {
    const group = this.check(groupSchema, item, path);
    if (group === undefined) return;
    for (const [index, node] of group.nodes.entries()) {
      const entry = typeof node === 'string' ? { name: node } : node;
      this.readNode(entry, [...path, 'nodes', index], group);
    }
  }

  readNode(item: unknown, path: Path, group?: GroupEntry): void {
    const entry = this.check(nodeSchema, item, path);
    if (entry === undefined) return;
    try {
      for (const node of nodesOf(entry, group)) this.add(node, path);
    } catch (error) {
      if (!(error instanceof WrongRange)) throw error;
      this.problem(path, `"${shortened(entry.name)}" ${error.message}`);
    }
  }

  private add(node: Node, path: Path): void {
    const other = this.taken.nodes.get(node.name);
    if (parseDestination(node.host) === undefined) {
      this.problem(path, `"${shortened(node.host)}" is not a valid host name`);
    } else if (this.names.has(node.name)) {
      this.problem(path, `the node "${shortened(node.name)}" stands there twice`);
    } else if (other !== undefined) {
      if (isDeepStrictEqual(other, node)) return;
      this.problem(
        path,
        `the node "${shortened(node.name)}" is also in ${this.taken.owner}, which wins`,
      );
    } else if (this.nodes.length >= maxNodes) {
      throw new WrongRange(`makes more than ${maxNodes} nodes together with those before it`);
    } else {
      this.names.add(node.name);
      this.nodes.push(node);
    }
  }

  private check<T extends v.GenericSchema>(
    schema: T,
    item: unknown,
    path: Path,
  ): v.InferOutput<T> | undefined {
    const checked = v.safeParse(schema, item);
    if (checked.success) return checked.output;
    const [issue] = checked.issues;
    const inner = (issue.path ?? []).map((step) => step.key as string | number);
    const subject = inner.length === 0 ? [] : [`"${shortened(inner.join('.'))}"`];
    this.problem([...path, ...inner], [...subject, wordsOf(issue)].join(' '));
    return undefined;
  }

  private problem(path: Path, reason: string): void {
    // One sentence an entry: a range of wrong host names says the same thing many times.
    const isTold = this.problems.some((known) => known.entry === entryOf(path));
    if (!isTold)
      this.problems.push(new SettingError(path, `"${setting}", ${entryOf(path)}: ${reason}`));
  }
}

/** `entry 3`, or in a group `entry 3, node 2`. */
function entryOf(path: Path): string {
  const [, entry, , node] = path;
  const name = `entry ${Number(entry) + 1}`;
  return path[2] === 'nodes' && node !== undefined ? `${name}, node ${Number(node) + 1}` : name;
}

function nodesOf(entry: NodeEntry, group: GroupEntry | undefined): Node[] {
  const labels = [...new Set([...(group?.labels ?? []), ...entry.labels])];
  const logs = [...new Set([...(group?.logs ?? []), ...entry.logs])];
  const common = { labels, logs, origin: 'settings' as const };
  const inGroup = group === undefined ? {} : { group: group.group };
  return expandNodes(entry.name, entry.host).map(([name, host]) => ({
    name,
    host,
    ...common,
    ...inGroup,
  }));
}

function shortened(text: string): string {
  return toDisplay(text, 80);
}

function wordsOf(issue: v.BaseIssue<unknown>): string {
  if (issue.received === 'undefined') return 'is missing';
  if (issue.expected === 'never') return 'is not known here';
  return issue.type === 'strict_object' ? 'is neither a node nor a group' : issue.message;
}

function parsePath(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  return value.startsWith('~/') ? join(homedir(), value.slice(2)) : value;
}

/**
 * The configured nodes, then the hosts of the ssh configuration that none of them stands for. An ssh configuration
 * that cannot be read is given to `onProblem`, and the configured nodes still count; without it, it is thrown.
 */
export async function combineNodes(
  configured: readonly Node[],
  sshConfigFile: string | undefined,
  onProblem?: (error: unknown) => void,
): Promise<Node[]> {
  const taken = new Set(configured.flatMap((node) => [node.name, node.host]));
  let hosts: readonly string[] = [];
  try {
    hosts = await listHosts(sshConfigFile);
  } catch (error) {
    if (onProblem === undefined) throw error;
    onProblem(error);
  }
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
