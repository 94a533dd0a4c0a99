import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  associate,
  describeAssociation,
  describeFact,
  fisherExact,
  holm,
  type AssociationReport,
  type Table,
} from '../../src/env/association.ts';
import { fromSnapshot } from '../../src/env/comparable.ts';
import { compareMany } from '../../src/env/matrix.ts';
import { samplePython, sampleSnapshot } from './samples.ts';

/** Made by R, as in scipy's own tests: test_fisher_exact of scipy/stats/tests (scipy ticket 956). */
const tablesOfScipy: readonly (readonly [number, number, number, number, number])[] = [
  [100, 2, 1000, 5, 1.300759363430016e-1],
  [2, 100, 5, 1000, 1.300759363430016e-1],
  [2, 7, 8, 2, 2.301413756522114e-2],
  [5, 1, 10, 10, 1.97324414715719e-1],
  [5, 15, 20, 20, 9.580440012477637e-2],
  [5, 16, 20, 25, 1.725864953812994e-1],
  [10, 5, 10, 1, 1.97324414715719e-1],
  [10, 5, 10, 0, 6.126482213438734e-2],
  [5, 0, 1, 4, 4.761904761904762e-2],
  [0, 5, 1, 4, 1],
  [5, 1, 0, 4, 4.761904761904758e-2],
  [0, 1, 3, 2, 1],
  [0, 2, 6, 4, 0.4545454545],
];

test('p is that of R and scipy', () => {
  for (const [a, b, c, d, p] of tablesOfScipy) {
    const ours = fisherExact({ a, b, c, d });
    assert.ok(Math.abs(ours - p) < 1e-9, `${[a, b, c, d].join(' ')}: ${ours}, not ${p}`);
  }
  // 1 of the 220 ways to choose 3 of 12.
  assert.ok(Math.abs(fisherExact({ a: 3, b: 0, c: 0, d: 9 }) - 1 / 220) < 1e-12);
});

/** The same by whole numbers, where nothing is rounded before the last step. */
function exactly({ a, b, c, d }: Table): number {
  const choose = (n: number, k: number): bigint => {
    let product = 1n;
    for (let at = 1; at <= k; at++) product = (product * BigInt(n - k + at)) / BigInt(at);
    return product;
  };
  const [failing, passing, having] = [a + b, c + d, a + c];
  const ways = (x: number): bigint =>
    x < 0 || x > failing || having - x < 0 || having - x > passing
      ? 0n
      : choose(failing, x) * choose(passing, having - x);
  const seen = ways(a);
  let sum = 0n;
  for (let x = 0; x <= having; x++) if (ways(x) <= seen) sum += ways(x);
  return Number((sum * 10n ** 15n) / choose(failing + passing, having)) / 1e15;
}

const tables = fc.record({
  a: fc.nat(25),
  b: fc.nat(25),
  c: fc.nat(25),
  d: fc.nat(25),
});

test('p is exact, and the same from every side of the table', () => {
  fc.assert(
    fc.property(tables, (table) => {
      const { a, b, c, d } = table;
      const p = fisherExact(table);
      assert.ok(p >= 0 && p <= 1);
      assert.ok(Math.abs(p - exactly(table)) < 1e-9);
      for (const turned of [
        { a: c, b: d, c: a, d: b },
        { a: b, b: a, c: d, d: c },
        { a, b: c, c: b, d },
      ]) {
        assert.ok(Math.abs(fisherExact(turned) - p) < 1e-12);
      }
    }),
    { numRuns: 200 },
  );
});

test('large tables do not overflow', () => {
  const p = fisherExact({ a: 900, b: 100, c: 500, d: 1500 });
  assert.ok(p > 0 && p < 1e-200, String(p));
});

test('Holm: between the plain p and that of Bonferroni, and in the same order', () => {
  // Worked example: sorted 0.005, 0.01, 0.03, 0.04 become 4 × 0.005, 3 × 0.01, 2 × 0.03, and the last not less.
  const [a, b, c, d] = holm([0.01, 0.04, 0.03, 0.005]);
  assert.deepEqual([a, b, c, d], [0.03, 0.06, 0.06, 0.02]);
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }), (ps) => {
      const adjusted = holm(ps);
      ps.forEach((p, at) => {
        assert.ok(adjusted[at]! >= p && adjusted[at]! <= Math.min(1, p * ps.length) + 1e-15);
        ps.forEach((other, index) => {
          if (p < other) assert.ok(adjusted[at]! <= adjusted[index]!);
        });
      });
    }),
  );
});

/** Nodes n0, n1 … with these packages, of which the named ones fail. */
function report(
  packages: readonly Readonly<Record<string, string>>[],
  failing: readonly string[],
): AssociationReport {
  const columns = packages.map((each, at) =>
    fromSnapshot(
      sampleSnapshot({
        node: `n${at}`,
        pythons: { source: '', interpreters: [samplePython({ packages: each })], notes: [] },
      }),
    ),
  );
  return associate(compareMany(columns), new Set(failing));
}

const repeat = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

test('a package that goes with the failing nodes is named with its counts', () => {
  const { associations, unproven, silentBecause, testedCount } = report(
    [...repeat(3, { numpy: '1.24', scipy: '1.9' }), ...repeat(9, { numpy: '2.0', scipy: '1.14' })],
    ['n0', 'n1', 'n2'],
  );
  assert.deepEqual(associations.map(describeAssociation), [
    'numpy 1.24 on 3 of 3 failing, 0 of 9 passing nodes, and alike scipy 1.9',
  ]);
  assert.ok(Math.abs(associations[0]!.adjustedP - 1 / 220) < 1e-12);
  assert.deepEqual([unproven, silentBecause, testedCount], [[], undefined, 1]);
});

test('what splits the nodes in other ways counts against it, once each', () => {
  const odd = (name: string): Record<string, string> => ({ numpy: '2.0', [name]: '1' });
  const { associations, testedCount } = report(
    [
      ...repeat(3, { numpy: '1.24', a: '1' }),
      ...repeat(3, { ...odd('a'), b: '1' }),
      odd('b'),
      ...repeat(5, { numpy: '2.0' }),
    ],
    ['n0', 'n1', 'n2'],
  );
  assert.deepEqual(associations.map(describeAssociation), [
    'numpy 1.24 on 3 of 3 failing, 0 of 9 passing nodes',
  ]);
  // b is on four nodes, of which at best three fail: it could have been the reason, and was tested.
  assert.equal(testedCount, 2);
  assert.ok(Math.abs(associations[0]!.adjustedP - 2 / 220) < 1e-12);
});

test('one failing node proves nothing; what only it has is told without a claim', () => {
  const { associations, unproven, silentBecause } = report(
    [{ numpy: '1.24' }, ...repeat(4, { numpy: '2.0' })],
    ['n0'],
  );
  assert.deepEqual(associations, []);
  assert.deepEqual(unproven.map(describeAssociation), [
    'numpy 1.24 on 1 of 1 failing, 0 of 4 passing nodes',
  ]);
  assert.equal(silentBecause, 'one failing node shares everything odd about it');
});

test('too few nodes are silent, with the reason', () => {
  const nodes = [...repeat(2, { numpy: '1.24' }), ...repeat(2, { numpy: '2.0' })];
  assert.deepEqual(report(nodes, ['n0', 'n1']).associations, []);
  assert.equal(
    report(nodes, ['n0', 'n1']).silentBecause,
    'with 2 failing and 2 passing nodes even a perfect match is chance in 1 of 3 cases',
  );
  assert.match(report(nodes, []).silentBecause ?? '', /no failing nodes/);
  assert.match(report(nodes, ['n0', 'n1', 'n2', 'n3']).silentBecause ?? '', /no passing nodes/);
  assert.match(report(nodes, ['n0', 'n1', 'n2']).silentBecause ?? '', /one passing node/);
});

test('what the passing nodes have more of is not told as a suspect', () => {
  const { associations, unproven } = report(
    [...repeat(4, {}), ...repeat(8, { fix: '1.0' })],
    ['n0', 'n1', 'n2', 'n3'],
  );
  assert.deepEqual(associations.map(describeAssociation), [
    'no fix on 4 of 4 failing, 0 of 8 passing nodes',
  ]);
  assert.deepEqual(unproven, []);
});

test('nodes that could not be checked or did not answer are on neither side', () => {
  const of = (node: string, version: string | undefined) =>
    fromSnapshot(
      sampleSnapshot({
        node,
        pythons:
          version === undefined
            ? { unavailable: 'python3 timed out' }
            : {
                source: '',
                interpreters: [samplePython({ packages: { numpy: version } })],
                notes: [],
              },
      }),
    );
  const matrix = compareMany([
    ...['f0', 'f1', 'f2'].map((name) => of(name, '1.24')),
    of('f3', undefined),
    ...['p0', 'p1', 'p2', 'p3', 'p4'].map((name) => of(name, '2.0')),
    of('p5', undefined),
    { label: 'dead', unavailable: 'it did not answer' },
  ]);
  const { failing, passing, associations } = associate(
    matrix,
    new Set(['f0', 'f1', 'f2', 'f3', 'dead']),
  );
  assert.deepEqual(failing, ['f0', 'f1', 'f2', 'f3']);
  assert.equal(passing.length, 6);
  assert.deepEqual(associations.map(describeAssociation), [
    'numpy 1.24 on 3 of 3 failing, 0 of 5 passing nodes',
  ]);
});

test('by chance alone something is told in at most one of twenty cases', () => {
  let seed = 12345;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const names = Array.from({ length: 12 }, (_, at) => `n${at}`);
  let told = 0;
  const rounds = 60;
  for (let round = 0; round < rounds; round++) {
    const nodes = names.map(() =>
      Object.fromEntries(
        Array.from({ length: 20 }, (_, at) => [`p${at}`, random() < 0.3 ? '1.0' : '2.0']),
      ),
    );
    if (report(nodes, names.slice(0, 4)).associations.length > 0) told++;
  }
  assert.ok(told / rounds <= 0.05, `${told} of ${rounds}`);
});

test('facts in words', () => {
  assert.equal(describeFact('packages./srv/shop.v1/venv.numpy', '1.24'), 'numpy 1.24');
  assert.equal(describeFact('env.loginShell.TZ', null), 'TZ not set');
  assert.equal(describeFact('env.A.B', 'x'), 'A.B=x');
  assert.equal(describeFact('umask', '0077'), 'umask 0077');
  assert.equal(describeFact('systemPackages.libc6', null), 'no libc6');
  assert.equal(describeFact('python./usr.version', '3.9.2'), 'Python /usr.version 3.9.2');
});
