// Which system packages differ, by name and version.

import type { Comparable } from './comparable.ts';
import type { Findings, RankedDifference } from './difference.ts';
import type { Judgement } from './scalarFacts.ts';

/** Everything on the node is linked with them or runs on them. */
const foundations =
  /^(libc6|glibc|musl|libssl[\d.]*|openssl|openssl-libs|libcrypto[\d.]*|libstdc\+\+6?|ca-certificates|tzdata|python3(\.\d+)?(-minimal)?|nodejs|libpq5|libsqlite3-0|zlib1g?)(:|$)/;

export function compareSystemPackages(
  { systemPackages: a }: Comparable,
  { systemPackages: b }: Comparable,
): Findings {
  if (a === undefined || b === undefined) return { differences: [] };
  if (a.manager !== b.manager) {
    const why = differentManagers(a.manager, b.manager);
    return { differences: [], uncompared: [{ path: 'systemPackages', why }] };
  }
  const left = new Map(Object.entries(a.packages));
  const right = new Map(Object.entries(b.packages));
  const names = [...new Set([...left.keys(), ...right.keys()])];
  return {
    differences: names.flatMap((name): RankedDifference[] => {
      const [x, y] = [left.get(name) ?? null, right.get(name) ?? null];
      if (x === y) return [];
      const judgement = judgeSystemPackage(name, x, y);
      return [
        {
          path: `systemPackages.${name}`,
          chapters: ['packages'],
          a: x,
          b: y,
          ...judgement,
          note: judgement.note ?? null,
        },
      ];
    }),
  };
}

export function differentManagers(a: string, b: string): string {
  return `${a} and ${b} name their packages differently`;
}

export const packagedAgain = 'the same version, packaged again';

/** Of two versions that are not spelled alike; null is "not installed". */
export function judgeSystemPackage(name: string, a: string | null, b: string | null): Judgement {
  if (a !== null && b !== null && upstreamOf(a) === upstreamOf(b)) {
    return { severity: 'info', weight: 10, note: packagedAgain };
  }
  return foundations.test(name)
    ? { severity: 'medium', weight: 54 }
    : { severity: 'low', weight: 10 };
}

/** Without the epoch before a colon and the packaging's revision after the last hyphen. */
export function upstreamOf(version: string): string {
  return version.replace(/^\d+:/, '').replace(/-[^-]*$/, '');
}
