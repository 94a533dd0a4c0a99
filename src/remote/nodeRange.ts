// `web-[01-20,25].eu` → the names it stands for.

/** More nodes than this is a slip of the keyboard. */
export const maxNodes = 10_000;

/** Why a text with ranges stands for nothing, as the end of a sentence about it. */
export class WrongRange extends Error {}

/**
 * The names that a text with any number of ranges stands for, the last range counting fastest; without one, the
 * text itself. A leading zero keeps the width: `[08-10]` is 08, 09, 10. Brackets around an IPv6 address are no
 * range. Throws a WrongRange, also for more than `maxNodes` names.
 */
export function expandRanges(text: string): string[] {
  const parts = text.split(/(\[[^\]:]*\])/);
  const lists = parts.map((part, index) => (index % 2 === 0 ? [part] : readRange(part)));
  const count = lists.reduce((product, list) => product * list.length, 1);
  if (count > maxNodes) {
    throw new WrongRange(`stands for ${count} nodes, more than ${maxNodes}`);
  }
  return lists.reduce(
    (heads, list) => heads.flatMap((head) => list.map((part) => head + part)),
    [''],
  );
}

/** `[01-20,25]` → 01, 02 … 20, 25. */
function readRange(range: string): string[] {
  return range
    .slice(1, -1)
    .split(',')
    .flatMap((piece) => {
      const [, first, last = first] = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(piece) ?? [];
      if (first === undefined || last === undefined) {
        throw new WrongRange(`has ${range}, which is no range of numbers such as [01-20,25]`);
      }
      const start = Number(first);
      const count = Number(last) - start + 1;
      if (count < 1) throw new WrongRange(`has ${range}, a range that goes down`);
      if (count > maxNodes) throw new WrongRange(`stands for more than ${maxNodes} nodes`);
      const width = first.startsWith('0') ? first.length : 0;
      return Array.from({ length: count }, (_, i) => String(start + i).padStart(width, '0'));
    });
}

/**
 * Name and host of each node, when both may have ranges: the host's count along with the name's. Without a
 * host, the name is the host. Throws a WrongRange.
 */
export function expandNodes(
  name: string,
  host: string | undefined,
): readonly (readonly [name: string, host: string])[] {
  const names = expandRanges(name);
  if (host === undefined) return names.map((each) => [each, each]);
  const hosts = expandRanges(host);
  if (hosts.length !== names.length) {
    throw new WrongRange(
      `stands for ${counted(names.length, 'node')}, but its host "${host}" for ${hosts.length}`,
    );
  }
  return names.map((each, index) => [each, hosts[index]!]);
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
