// The matrix of fifty nodes with 5,000 facts each, when nearly all are alike and when nothing is.

import { fromSnapshot } from '../../src/env/comparable.ts';
import { associate } from '../../src/env/association.ts';
import type { Comparable } from '../../src/env/comparable.ts';
import { compareMany } from '../../src/env/matrix.ts';
import { samplePython, sampleSnapshot, sampleVariables, withVariables } from '../env/samples.ts';
import { measureInTurn, type BenchReport } from './measure.ts';

const nodeCount = 50;
const factCount = 5000;
const alike = 'nodes alike but for 20 facts';

export async function benchMatrix(): Promise<BenchReport> {
  const similar = fleet((node, fact) => (fact < 20 && node % 7 === 0 ? '2.0.0' : '1.0.0'));
  const different = fleet((node, fact) => `${node}.${fact}`);
  const failing = new Set(['n0', 'n7', 'n14', 'n21']);
  const contender = (name: string, columns: readonly Comparable[]) => ({
    name,
    run: () => Promise.resolve(associate(compareMany(columns), failing).testedCount),
  });
  return {
    title: 'Matrix: who is the odd one out',
    description: [
      `${nodeCount} nodes, ${factCount} facts each (half of them Python packages, half system packages), ` +
        'with the question which fact goes with four failing nodes.',
    ],
    measurements: await measureInTurn(
      [contender(alike, similar), contender('every fact differs on every node', different)],
      7,
    ),
    peer: alike,
  };
}

function fleet(versionOf: (node: number, fact: number) => string): readonly Comparable[] {
  const half = factCount / 2;
  return Array.from({ length: nodeCount }, (_, node) => {
    const packages = (from: number): Record<string, string> =>
      Object.fromEntries(
        Array.from({ length: half }, (__, at) => [
          `package-${from + at}`,
          versionOf(node, from + at),
        ]),
      );
    return fromSnapshot(
      sampleSnapshot({
        node: `n${node}`,
        pythons: {
          source: '',
          interpreters: [samplePython({ packages: packages(0) })],
          notes: [],
        },
        systemPackages: { source: '', manager: 'dpkg', packages: packages(half) },
        ...withVariables({ ...sampleVariables, NODE: `n${node}` }),
      }),
    );
  });
}
