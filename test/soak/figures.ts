// RELIABILITY.md: the latest figure of every goal, whichever run it is from.

export interface FigureRow {
  readonly goal: string;
  /** P: in `npm test`; N: in `npm run soak`. */
  readonly tier: 'P' | 'N';
  readonly figure: string;
  readonly how: string;
}

const head = `# Measured reliability

The goals on connections that Faultline holds itself to, with what was seen when they last ran. Tier P runs in
\`npm test\`, tier N in \`npm run soak\`, which writes its rows here; \`npm run soak -- R-08 R-14\` runs some of them.
Every load is bounded and stays on the loopback interface. What is meant by a goal stands in the test named last.
`;

const columns = ['| goal | tier | figure | how |', '|---|---|---|---|'];

/** The rows of a report that was written before; what is no row is passed over. */
export function parseReport(text: string): FigureRow[] {
  return text.split('\n').flatMap((line) => {
    const cells = line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('\\|', '|'));
    const [goal = '', tier = '', figure = '', how = ''] = cells;
    if (cells.length !== 4 || (tier !== 'P' && tier !== 'N')) return [];
    return [{ goal, tier, figure, how }];
  });
}

/** The old rows with the new ones in their places, in the goals' order. */
export function mergeRows(
  before: readonly FigureRow[],
  now: readonly FigureRow[],
): readonly FigureRow[] {
  const keyOf = ({ goal, tier }: FigureRow): string => `${goal} ${tier}`;
  const rows = new Map([...before, ...now].map((row) => [keyOf(row), row]));
  return [...rows.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** `machine` says what the soak ran on, without a date or a name. */
export function formatFigures(machine: string, rows: readonly FigureRow[]): string {
  const cell = (text: string): string => text.replaceAll('\n', ' ').replaceAll('|', '\\|');
  const lines = rows.map(
    ({ goal, tier, figure, how }) => `| ${goal} | ${tier} | ${cell(figure)} | ${cell(how)} |`,
  );
  return [head, `The soak last ran on ${machine}.`, '', ...columns, ...lines, ''].join('\n');
}
