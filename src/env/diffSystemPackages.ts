// Which system packages differ, by name and version.

import type { Comparable } from './comparable.ts';
import type { Findings, RankedDifference } from './difference.ts';
import type { Severity } from './severity.ts';

/** Everything on the node is linked with them or runs on them. */
const foundations =
  /^(libc6|glibc|musl|libssl[\d.]*|openssl|openssl-libs|libcrypto[\d.]*|libstdc\+\+6?|ca-certificates|tzdata|python3(\.\d+)?(-minimal)?|nodejs|libpq5|libsqlite3-0|zlib1g?)(:|$)/;

export function compareSystemPackages(
  { systemPackages: a }: Comparable,
  { systemPackages: b }: Comparable,
): Findings {
  if (a === undefined || b === undefined) return { differences: [] };
  if (a.manager !== b.manager) {
    const why = `${a.manager} and ${b.manager} name their packages differently`;
    return { differences: [], uncompared: [{ path: 'systemPackages', why }] };
  }
  const left = new Map(Object.entries(a.packages));
  const right = new Map(Object.entries(b.packages));
  const names = [...new Set([...left.keys(), ...right.keys()])];
  return {
    differences: names.flatMap((name): RankedDifference[] => {
      const [x, y] = [left.get(name) ?? null, right.get(name) ?? null];
      if (x === y) return [];
      const isRevision = x !== null && y !== null && upstreamOf(x) === upstreamOf(y);
      const severity: Severity = isRevision ? 'info' : foundations.test(name) ? 'medium' : 'low';
      return [
        {
          path: `systemPackages.${name}`,
          chapters: ['packages'],
          a: x,
          b: y,
          severity,
          weight: severity === 'medium' ? 54 : 10,
          note: isRevision ? 'the same version, packaged again' : null,
        },
      ];
    }),
  };
}

/** Without the epoch before a colon and the packaging's revision after the last hyphen. */
function upstreamOf(version: string): string {
  return version.replace(/^\d+:/, '').replace(/-[^-]*$/, '');
}
