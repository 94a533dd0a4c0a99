// Which nodes a view shows, and under which headings. Knows no view.

import { toDisplay } from '../base/displayText.ts';
import type { Node, NodeState } from '../remote/node.ts';

export type StateKind = NodeState['kind'];

/** What people call a state; also what `state:` in a filter takes. */
export const stateWords: Readonly<Record<StateKind, string>> = {
  failed: 'failed',
  waiting: 'waiting',
  connecting: 'connecting',
  ready: 'ready',
  offline: 'not connected',
};

/** In the order in which they want attention. */
export const stateKinds: readonly StateKind[] = [
  'failed',
  'waiting',
  'connecting',
  'ready',
  'offline',
];

/**
 * A typed filter: words that each occur in a node's name, host, group or labels, and conditions, of which those of
 * one kind are alternatives. All text is in lower case.
 */
export interface NodeFilter {
  readonly words: readonly string[];
  readonly labels: readonly string[];
  readonly groups: readonly string[];
  readonly states: readonly StateKind[];
}

/** `web label:production state:failed group:"eu west"`. Undefined for a text that asks for nothing. */
export function parseFilter(text: string): NodeFilter | undefined {
  const found = {
    words: [] as string[],
    labels: [] as string[],
    groups: [] as string[],
    states: [] as StateKind[],
  };
  for (const [, kind = '', quoted, plain = ''] of text.matchAll(
    /(?:(label|group|state):)?(?:"([^"]*)"?|([^\s"]+)|(?<=:))/gi,
  )) {
    const value = (quoted ?? plain).toLowerCase();
    if (value === '') continue;
    switch (kind.toLowerCase()) {
      case 'label':
        found.labels.push(value);
        break;
      case 'group':
        found.groups.push(value);
        break;
      case 'state': {
        const states = stateKinds.filter((state) => isStateName(state, value));
        // Half-typed or wrong: as a word it matches nothing, which is seen at once.
        if (states.length === 0) found.words.push(`state:${value}`);
        else found.states.push(...states);
        break;
      }
      default:
        found.words.push(value);
    }
  }
  return Object.values(found).every((list) => list.length === 0) ? undefined : found;
}

function isStateName(state: StateKind, typed: string): boolean {
  return state.startsWith(typed) || stateWords[state].replaceAll(' ', '-').startsWith(typed);
}

export function matchesFilter(node: Node, state: StateKind, filter: NodeFilter): boolean {
  const { words, labels, groups, states } = filter;
  if (states.length > 0 && !states.includes(state)) return false;
  if (groups.length > 0 && !groups.includes(node.group?.toLowerCase() ?? '')) return false;
  if (labels.length > 0 && !node.labels.some((label) => labels.includes(label.toLowerCase())))
    return false;
  if (words.length === 0) return true;
  const text = [node.name, node.host, node.group ?? '', ...node.labels].join('\n').toLowerCase();
  return words.every((word) => text.includes(word));
}

export interface FilterSuggestion {
  /** To be added to what was typed, e.g. `label:production`. */
  readonly token: string;
  readonly count: number;
}

/** Conditions that some nodes meet: states first, then groups and labels, each with its count. */
export function suggestFilters(
  nodes: readonly Node[],
  stateOf: (node: Node) => StateKind,
): FilterSuggestion[] {
  const counts = new Map<string, number>();
  const count = (token: string): void => void counts.set(token, (counts.get(token) ?? 0) + 1);
  for (const node of nodes) {
    count(stateToken(stateOf(node)));
    if (node.group !== undefined) count(`group:${quoted(node.group)}`);
    for (const label of new Set(node.labels)) count(`label:${quoted(label)}`);
  }
  const rank = (token: string): number => {
    const state = stateKinds.findIndex((kind) => stateToken(kind) === token);
    if (state >= 0) return state;
    return token.startsWith('group:') ? stateKinds.length : stateKinds.length + 1;
  };
  return [...counts]
    .map(([token, found]) => ({ token, count: found }))
    .sort((a, b) => rank(a.token) - rank(b.token) || (a.token < b.token ? -1 : 1));
}

function stateToken(state: StateKind): string {
  return `state:${stateWords[state].replaceAll(' ', '-')}`;
}

function quoted(text: string): string {
  return /[\s"]/.test(text) ? `"${text.replaceAll('"', '')}"` : text;
}

export const groupings = ['none', 'group', 'label', 'state'] as const;
export type NodeGrouping = (typeof groupings)[number];

/** Nodes under one heading. */
export interface NodeGroup {
  readonly kind: 'group';
  /** The same for the same heading, whatever nodes are under it. */
  readonly id: string;
  readonly title: string;
  readonly nodes: readonly Node[];
}

/**
 * The nodes under their headings, those without one first. A node is under the first of its labels (production and
 * development before all others).
 */
export function groupNodes(
  nodes: readonly Node[],
  grouping: NodeGrouping,
  stateOf: (node: Node) => StateKind,
): { readonly groups: readonly NodeGroup[]; readonly others: readonly Node[] } {
  const headingOf: Readonly<Record<NodeGrouping, (node: Node) => string | undefined>> = {
    none: () => undefined,
    group: (node) => node.group,
    label: (node) => firstLabel(node.labels),
    state: (node) => stateWords[stateOf(node)],
  };
  const byHeading = new Map<string, Node[]>();
  const others: Node[] = [];
  for (const node of nodes) {
    const heading = headingOf[grouping](node);
    if (heading === undefined) {
      others.push(node);
      continue;
    }
    const known = byHeading.get(heading);
    if (known === undefined) byHeading.set(heading, [node]);
    else known.push(node);
  }
  const groups = [...byHeading].map(([title, members]): NodeGroup => ({
    kind: 'group',
    id: `${grouping}:${title}`,
    title,
    nodes: members,
  }));
  return { groups: sorted(groups, grouping), others };
}

const labelsFirst = ['production', 'development'];

function firstLabel(labels: readonly string[]): string | undefined {
  return labelsFirst.find((label) => labels.includes(label)) ?? labels[0];
}

/** Groups stay in the order of the settings. */
function sorted(groups: NodeGroup[], grouping: NodeGrouping): NodeGroup[] {
  if (grouping === 'none' || grouping === 'group') return groups;
  const order = grouping === 'state' ? stateKinds.map((kind) => stateWords[kind]) : labelsFirst;
  const rank = ({ title }: NodeGroup): number =>
    order.includes(title) ? order.indexOf(title) : order.length;
  return groups.sort((a, b) => rank(a) - rank(b) || (a.title < b.title ? -1 : 1));
}

/** `3 of 20 ready`, and how many cannot be used. */
export function describeCounts(states: readonly StateKind[]): string {
  const count = (kind: StateKind): number => states.filter((state) => state === kind).length;
  const ready = `${count('ready')} of ${states.length} ready`;
  const parts = [
    ready,
    ...(['failed', 'waiting'] as const).map((kind) => `${count(kind)} ${kind}`),
  ];
  return parts.filter((part) => !part.startsWith('0 ') || part === ready).join(' · ');
}

/** `12 of 100 nodes: web label:production`. */
export function describeFilter(text: string, shown: number, all: number): string {
  return `${shown} of ${all} nodes: ${toDisplay(text.trim(), 100)}`;
}
