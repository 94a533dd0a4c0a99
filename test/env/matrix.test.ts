import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { fromSnapshot } from '../../src/env/comparable.ts';
import { diffEnvironments } from '../../src/env/diff.ts';
import type { EnvSnapshot } from '../../src/env/envSnapshot.ts';
import type { FactColumn } from '../../src/env/factTable.ts';
import { compareMany, type EnvMatrix, type MatrixRow } from '../../src/env/matrix.ts';
import {
  samplePython,
  sampleSnapshot,
  sampleVariables,
  systemPython,
  withVariables,
} from './samples.ts';

/** Nodes n0, n1 … each with its change of the sample. */
function matrixOf(...changes: readonly (Partial<EnvSnapshot> | string)[]): EnvMatrix {
  return compareMany(
    changes.map((change, at): FactColumn => {
      const node = `n${at}`;
      return typeof change === 'string'
        ? { label: node, unavailable: change }
        : fromSnapshot(sampleSnapshot({ node, ...change }));
    }),
  );
}

/** `severity path: value×count | value×count; outliers`. */
function show({ severity, path, values, outliers, hasMajority }: MatrixRow): string {
  const each = values.map(({ text, count }) => `${text}×${count}`).join(' | ');
  return `${severity} ${path}: ${each}; ${hasMajority ? outliers.join(' ') : 'no majority'}`;
}

const packages = (of: Readonly<Record<string, string>>): Partial<EnvSnapshot> => ({
  pythons: {
    source: '',
    interpreters: [samplePython({ packages: of }), systemPython],
    notes: [],
  },
});
const umask = (text: string): Partial<EnvSnapshot> => ({
  command: { source: '', cwd: { logical: '/', physical: '/' }, umask: text },
});

test('nodes that are alike have no row, and how much is alike is counted', () => {
  const { rows, folded, sameCount, nodes, ranking } = matrixOf({}, {}, {});
  assert.deepEqual([rows, folded, ranking], [[], [], [0, 1, 2]]);
  assert.ok(sameCount > 30, String(sameCount));
  assert.deepEqual(nodes[0], {
    name: 'n0',
    missing: undefined,
    unchecked: [],
    outlierCounts: { high: 0, medium: 0, low: 0 },
  });
});

test('the majority, the outliers, and the worst first', () => {
  const matrix = matrixOf(
    { ...packages({ pricelib: '2.1.0', pip: '23.0' }) },
    { ...packages({ pricelib: '2.1.0', pip: '24.0' }), ...umask('0077') },
    { ...packages({ pricelib: '1.4.2', pip: '23.0' }) },
    { ...packages({ pricelib: '2.1.0' }) },
  );
  assert.deepEqual(matrix.rows.map(show), [
    'high packages./srv/shop/venv.pricelib: 2.1.0×3 | 1.4.2×1; 2',
    'medium umask: 0022×3 | 0077×1; 1',
    'low packages./srv/shop/venv.pip: 23.0×2 | 24.0×1 | null×1; no majority',
    'low cwd: /home/app×3 | /×1; 1',
  ]);
  assert.deepEqual(matrix.rows[0]?.cells, [0, 0, 1, 0]);
  assert.deepEqual(matrix.ranking, [2, 1, 0, 3]);
  assert.deepEqual(matrix.nodes[1]?.outlierCounts, { high: 0, medium: 1, low: 1 });
});

test('versions are compared by their own rules', () => {
  const { rows, folded } = matrixOf(
    packages({ a: '1.0', b: '1.0' }),
    packages({ a: '1.0.0', b: '1.0.0' }),
    packages({ a: '1.0', b: '2.0' }),
  );
  assert.deepEqual(rows.map(show), ['high packages./srv/shop/venv.b: 1.0×2 | 2.0×1; 2']);
  assert.deepEqual(rows[0]?.values[0]?.spellings, ['1.0.0']);
  assert.deepEqual(folded, [
    { path: 'packages./srv/shop/venv.a', note: 'two spellings of one version' },
  ]);
});

test('harmless and volatile facts are folded, with a reason and a count', () => {
  const memory = (availableBytes: number): Partial<EnvSnapshot> => ({
    memory: { source: '', totalBytes: 8 * 2 ** 30, availableBytes, swapBytes: 0 },
  });
  const variables = (client: string): Partial<EnvSnapshot> =>
    withVariables({ ...sampleVariables, SSH_CLIENT: client, SSH_CONNECTION: client });
  const { rows, folded, foldedReasons } = matrixOf(
    { ...memory(1), ...variables('a') },
    { ...memory(2), ...variables('b') },
    { ...memory(2 ** 30), ...variables('c') },
  );
  assert.deepEqual(rows, []);
  assert.deepEqual(
    folded.map(({ path }) => path),
    ['env.SSH_CLIENT', 'env.SSH_CONNECTION', 'memory.available'],
  );
  assert.deepEqual(foldedReasons, [
    { note: 'of this connection', count: 2 },
    { note: 'changes by itself', count: 1 },
  ]);
});

test('a node that did not answer and a chapter that could not be had are told, not taken for the same', () => {
  const matrix = matrixOf(
    packages({ numpy: '2.0' }),
    packages({ numpy: '2.0' }),
    { pythons: { unavailable: 'python3 timed out' } },
    'it refused the connection',
    packages({ numpy: '1.24' }),
  );
  assert.deepEqual(matrix.rows.map(show), [
    'high packages./srv/shop/venv.numpy: 2.0×2 | 1.24×1; 4',
  ]);
  assert.deepEqual(matrix.rows[0]?.cells, [0, 0, -1, -1, 1]);
  assert.deepEqual(matrix.rows[0]?.unchecked, [
    { node: 2, why: 'python3 timed out' },
    { node: 3, why: 'it refused the connection' },
  ]);
  assert.deepEqual(matrix.nodes[2]?.unchecked, [{ chapter: 'pythons', why: 'python3 timed out' }]);
  assert.equal(matrix.nodes[3]?.missing, 'it refused the connection');
  assert.equal(matrix.ranking.at(-1), 3);
  assert.deepEqual(matrixOf('gone', 'gone').rows, []);
});

test('a virtual environment elsewhere is the same one; a package in two interpreters one row', () => {
  const at = (place: string, version: string): Partial<EnvSnapshot> => ({
    pythons: {
      source: '',
      interpreters: [
        samplePython({
          prefix: `${place}/shop/venv`,
          executable: `${place}/shop/venv/bin/python`,
          packages: { numpy: version },
        }),
        { ...systemPython, packages: { numpy: version } },
      ],
      notes: [],
    },
  });
  const { rows } = matrixOf(at('/srv', '2.0'), at('/opt', '2.0'), at('/home', '1.24'));
  assert.deepEqual(rows.map(show), ['high packages./srv/shop/venv.numpy: 2.0×2 | 1.24×1; 2']);
  assert.deepEqual(rows[0]?.also, ['packages./usr.numpy']);
});

test('an interpreter that is missing is one row, not one for each of its packages', () => {
  const none: Partial<EnvSnapshot> = {
    pythons: { source: '', interpreters: [systemPython], notes: [] },
  };
  assert.deepEqual(matrixOf({}, {}, none).rows.map(show), [
    'high python./srv/shop/venv: 3.11.2, 2 packages×2 | null×1; 2',
  ]);
});

test('a variable is one row where a login shell and a plain command agree, else it says in which', () => {
  const login = (variables: typeof sampleVariables): Partial<EnvSnapshot> => ({
    env: {
      loginShell: { source: '', shell: '/bin/sh', variables },
      plainCommand: { source: '', variables: sampleVariables },
    },
  });
  assert.deepEqual(
    matrixOf({}, {}, withVariables({ ...sampleVariables, TARIFF_REGION: 'us' })).rows.map(show),
    ['medium env.TARIFF_REGION: eu-central×2 | us×1; 2'],
  );
  assert.deepEqual(
    matrixOf({}, {}, login({ ...sampleVariables, TARIFF_REGION: 'us' })).rows.map(show),
    ['medium env.loginShell.TARIFF_REGION: eu-central×2 | us×1; 2'],
  );
});

test('values with the own name of each node are the same', () => {
  const own = (name: string): Partial<EnvSnapshot> =>
    withVariables({ ...sampleVariables, URL: `http://${name}:8000` });
  const columns = ['web-1', 'web-2'].map((name) =>
    fromSnapshot(sampleSnapshot({ node: name, ...own(name) })),
  );
  const { rows, folded } = compareMany(columns);
  assert.deepEqual(rows, []);
  assert.deepEqual(folded, [
    { path: 'env.URL', note: "differs by the node's own name or home directory alone" },
  ]);
});

test('secrets are told apart by hash, and those of another key are unknown', () => {
  const secret = (hash: string, keyId = 'aaaaaaaa'): Partial<EnvSnapshot> => ({
    ...withVariables({
      ...sampleVariables,
      TOKEN: { redacted: true, reason: 'name', length: 9, hash },
    }),
    redaction: { keyId },
  });
  const { rows } = matrixOf(secret('1'), secret('1'), secret('2'), secret('1', 'bbbbbbbb'));
  assert.deepEqual(rows.map(show), [
    'medium env.TOKEN: ‹redacted 9 bytes #1›×2 | ‹redacted 9 bytes #2›×1; 2',
  ]);
  assert.deepEqual(rows[0]?.cells, [0, 0, 1, -1]);
});

test('other package managers cannot be compared', () => {
  const of = (manager: string, version: string): Partial<EnvSnapshot> => ({
    systemPackages: { source: '', manager, packages: { libc6: version, 'x\u001b[2J': '1' } },
  });
  const { rows } = matrixOf(of('dpkg', '2.36-9'), of('dpkg', '2.31-13'), of('apk', '1.2'));
  assert.deepEqual(rows.map(show), [
    'medium systemPackages.libc6: 2.36-9×1 | 2.31-13×1; no majority',
  ]);
  assert.equal(rows[0]?.unchecked[0]?.why, 'dpkg and apk name their packages differently');
});

test('two columns say what comparing two says', () => {
  const version = fc.constantFrom('1.0', '1.0.0', '1.1', '2.0');
  const change = fc.record({
    packages: fc.dictionary(fc.constantFrom('numpy', 'pip', 'a', 'constructor'), version),
    system: fc.dictionary(fc.constantFrom('libc6', 'bash'), fc.constantFrom('1-1', '1-2', '2-1')),
    variables: fc.dictionary(
      fc.constantFrom('A', 'PATH', 'SSH_TTY', 'LANG', '__proto__'),
      fc.constantFrom('x', 'y', '/home/app/z'),
    ),
    umask: fc.constantFrom('0022', '0077'),
    used: fc.constantFrom(10, 20, 99),
  });
  fc.assert(
    fc.property(change, change, (a, b) => {
      const [left, right] = [a, b].map((of) =>
        fromSnapshot(
          sampleSnapshot({
            pythons: {
              source: '',
              interpreters: [samplePython({ packages: of.packages })],
              notes: [],
            },
            systemPackages: { source: '', manager: 'dpkg', packages: of.system },
            ...withVariables(of.variables),
            ...umask(of.umask),
          }),
        ),
      );
      assert.ok(left !== undefined && right !== undefined);
      const pair = diffEnvironments(left, right);
      const matrix = compareMany([left, right]);
      const text = (each: { path: string; severity: string }): string =>
        `${each.severity} ${each.path}`;
      assert.deepEqual(matrix.rows.map(text), pair.differences.map(text));
      assert.deepEqual(
        matrix.folded.map(({ path }) => path),
        pair.folded.map(({ path }) => path).sort(),
      );
    }),
    { numRuns: 200 },
  );
});
