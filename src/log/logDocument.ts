// A search's result → the text of a log document.

import { toDisplay } from '../base/displayText.ts';
import { formatTime, type TimeDisplay } from '../base/time.ts';
import type { LogDocument } from './documentRows.ts';
import { orderUnknownMark, zoneText } from './entryText.ts';
import type { LogQuery } from './query.ts';
import { entryRenderer } from './render.ts';
import type { SearchResult } from './search.ts';

/** Editors slow down on larger documents; the rest is counted and said. */
const maxEntries = 20_000;

/** The same lines for every `display`: only what stands in them of time differs. */
export function renderDocument(result: SearchResult, display: TimeDisplay = 'utc'): LogDocument {
  const lines = [...headerLines(result, display).map((line) => `# ${line}`), ''];
  const render = entryRenderer({ colorize: false, times: display });
  const rows = result.entries.slice(0, maxEntries).map((entry) => {
    const firstLine = lines.length;
    for (const line of render(entry, entry.orderUnknown ? orderUnknownMark : '')) lines.push(line);
    return { entry, firstLine, lineCount: lines.length - firstLine };
  });
  return { text: `${lines.join('\n')}\n`, rows };
}

function headerLines(result: SearchResult, display: TimeDisplay): string[] {
  const { asked, missing, truncated, warnings, entries } = result;
  const answered = asked.length - missing.length;
  const lines = [
    `${describeQuery(result.query, display)}: ${count(entries.length, 'entry', 'entries')}, ` +
      `${answered} of ${count(asked.length, 'node', 'nodes')} answered.`,
    ...missing.map(
      ({ node, failure }) =>
        `Missing: ${node}. ${[failure.message, failure.hint].filter(Boolean).join(' ')}`,
    ),
    ...truncated.map(
      (node) =>
        `Cut: ${node} has more matching lines than were read. Search for less, or a shorter time.`,
    ),
    ...warnings.map(({ message }) => `Note: ${message}`),
    clockLine(result, display),
  ];
  if (entries.some(({ orderUnknown }) => orderUnknown)) {
    lines.push(
      `${orderUnknownMark} order unknown: closer to an entry of another node than the clocks can tell.`,
    );
  }
  if (entries.length > maxEntries) {
    lines.push(`Only the first ${maxEntries.toLocaleString('en')} entries are shown.`);
  }
  return lines.map((line) => toDisplay(line));
}

function clockLine({ clocks }: SearchResult, display: TimeDisplay): string {
  const zone = `Times are in ${zoneText(display)}`;
  if (clocks.length === 0) return `${zone}.`;
  const offsets = clocks.map(
    ({ node, clock }) =>
      `${node} ${clock.offsetMs < 0 ? '' : '+'}${clock.offsetMs.toFixed(1)} ± ${clock.errorMs.toFixed(1)} ms`,
  );
  return `${zone}, corrected by the nodes' clock offsets: ${offsets.join(', ')}.`;
}

/** What was searched for. Holds the user's own text as it is. */
function describeQuery(query: LogQuery, display: TimeDisplay): string {
  // Asked of all nodes: in no node's own zone.
  const asked = display === 'node' ? 'utc' : display;
  const parts = [
    ...(query.contextId === undefined ? [] : [`context ${query.contextId}`]),
    ...(query.text === undefined ? [] : [`"${query.text}"`]),
    ...(query.level === undefined ? [] : [`${query.level} and above`]),
    ...(query.since === undefined ? [] : [`since ${formatTime(query.since, asked)}`]),
    ...(query.until === undefined ? [] : [`until ${formatTime(query.until, asked)}`]),
  ];
  return parts.length === 0 ? 'Last lines' : parts.join(', ');
}

function count(number: number, one: string, many: string): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
}
