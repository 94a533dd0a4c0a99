// Reads the imports of src/ and fails where they point the wrong way (CONTRIBUTING.md draws the arrows).
//
//   base ← {remote, store} ← probe ← {env, log, profile} ← run ← debug ← webview ← ui ← extension.ts
//                                                           └─ cli ← cli.ts

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import ts from 'typescript';

const src = path.join(import.meta.dirname, '../src');

/** Area → the areas it may import from, besides itself. An area is a folder of src, or a root file. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = (() => {
  const nodes = ['base', 'remote', 'store', 'probe'];
  const facts = [...nodes, 'env', 'log', 'profile'];
  const runs = [...facts, 'run'];
  const debugging = [...runs, 'debug'];
  const ui = [...debugging, 'webview', 'ui'];
  return {
    base: [],
    remote: ['base'],
    store: ['base'],
    probe: ['base', 'remote'],
    env: nodes,
    log: nodes,
    profile: nodes,
    run: facts,
    debug: runs,
    webview: debugging,
    ui,
    'extension.ts': ui,
    cli: runs,
    'cli.ts': [...runs, 'cli'],
  };
})();

/** Package → where alone it may be imported. */
const CONFINED: Readonly<Record<string, (file: string) => boolean>> = {
  vscode: (file) => file.startsWith('ui/') || file === 'extension.ts',
  ssh2: (file) => file === 'remote/ssh2Connection.ts',
};

/** Loaded at the first connection, never at the start: see test/tools/build.mjs. */
const LOADED_LATE = 'remote/ssh2Connection.ts';

/**
 * All that activation reads: extension.ts with what it imports statically, and what that imports in turn. Every
 * window that opens pays for each of them before anything can be seen; a longer list is a decision.
 */
const LOADED_AT_START: readonly string[] = [
  'base/async.ts',
  'base/displayText.ts',
  'base/disposable.ts',
  'base/emitter.ts',
  'base/errors.ts',
  'base/figures.ts',
  'base/lines.ts',
  'base/time.ts',
  'base/wakefulness.ts',
  'extension.ts',
  'remote/clock.ts',
  'remote/clockHistory.ts',
  'remote/clockText.ts',
  'remote/connectionReport.ts',
  'remote/failureWords.ts',
  'remote/node.ts',
  'remote/nodeLink.ts',
  'remote/nodeRegistry.ts',
  'remote/syncDaemon.ts',
  'ui/clockNotices.ts',
  'ui/commands.ts',
  'ui/connectionReports.ts',
  'ui/late.ts',
  'ui/names.ts',
  'ui/nodeFilter.ts',
  'ui/nodeProblems.ts',
  'ui/nodeTree.ts',
  'ui/report.ts',
  'ui/timeDisplay.ts',
  'ui/timeSetting.ts',
  'ui/trust.ts',
];

interface Import {
  /** As written: './lines.ts', 'node:fs', 'vscode'. */
  readonly specifier: string;
  /** `static` runs with its importer, `dynamic` when it is called for, `type` never. */
  readonly kind: 'static' | 'dynamic' | 'type';
}

interface SourceFile {
  /** Relative to src, with slashes. */
  readonly file: string;
  readonly imports: readonly Import[];
}

function importsOf(file: string, text: string): Import[] {
  const found: Import[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const isType = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
      found.push({ specifier: node.moduleSpecifier.text, kind: isType ? 'type' : 'static' });
    } else if (
      ts.isExportDeclaration(node) &&
      node.moduleSpecifier !== undefined &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      found.push({
        specifier: node.moduleSpecifier.text,
        kind: node.isTypeOnly ? 'type' : 'static',
      });
    } else if (
      ts.isCallExpression(node) &&
      node.expression.kind === ts.SyntaxKind.ImportKeyword &&
      node.arguments[0] !== undefined &&
      ts.isStringLiteralLike(node.arguments[0])
    ) {
      found.push({ specifier: node.arguments[0].text, kind: 'dynamic' });
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      if (ts.isStringLiteral(node.argument.literal)) {
        found.push({ specifier: node.argument.literal.text, kind: 'type' });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest));
  return found;
}

function readSources(): SourceFile[] {
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll(path.sep, '/'))
    .filter((file) => file.endsWith('.ts'))
    .sort()
    .map((file) => ({
      file,
      imports: importsOf(file, readFileSync(path.join(src, file), 'utf8')),
    }));
}

const isRelative = (specifier: string) => specifier.startsWith('.');

const areaOf = (file: string) => file.split('/')[0] ?? file;

/** The file of src that a relative import means. */
const targetOf = (file: string, specifier: string) =>
  path.posix.join(path.posix.dirname(file), specifier);

/** Files from which each arrow leads to the next, and from the last to the first; undefined without any. */
function findCycle(arrows: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const finished = new Set<string>();
  const trail: string[] = [];
  const walk = (file: string): string[] | undefined => {
    const start = trail.indexOf(file);
    if (start >= 0) return trail.slice(start);
    if (finished.has(file)) return undefined;
    trail.push(file);
    for (const next of arrows.get(file) ?? []) {
      const cycle = walk(next);
      if (cycle !== undefined) return cycle;
    }
    trail.pop();
    finished.add(file);
    return undefined;
  };
  for (const file of arrows.keys()) {
    const cycle = walk(file);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

/** The file, and all to which arrows lead from it. */
function reachable(file: string, arrows: ReadonlyMap<string, readonly string[]>): Set<string> {
  const found = new Set([file]);
  // A set that grows is walked to its new end.
  for (const known of found) for (const next of arrows.get(known) ?? []) found.add(next);
  return found;
}

const sources = readSources();

/** Every import with the file that has it, as "file → specifier", of which `isWrong`. */
const wrongImports = (isWrong: (file: string, imported: Import) => boolean) =>
  sources.flatMap(({ file, imports }) =>
    imports
      .filter((imported) => isWrong(file, imported))
      .map(({ specifier }) => `${file} → ${specifier}`),
  );

test('imports point to the left', () => {
  const wrong = wrongImports((file, { specifier }) => {
    if (!isRelative(specifier)) return false;
    const [from, to] = [areaOf(file), areaOf(targetOf(file, specifier))];
    return from !== to && ALLOWED[from]?.includes(to) !== true;
  });
  assert.deepEqual(wrong, []);
});

test('every folder has its place in the order', () => {
  const unknown = new Set(
    sources.map(({ file }) => areaOf(file)).filter((area) => !(area in ALLOWED)),
  );
  assert.deepEqual([...unknown], []);
});

test('no files import each other in a circle', () => {
  const arrows = new Map(
    sources.map(({ file, imports }) => [
      file,
      imports
        .filter(({ specifier }) => isRelative(specifier))
        .map(({ specifier }) => targetOf(file, specifier)),
    ]),
  );
  assert.equal(findCycle(arrows)?.join(' → '), undefined);
});

test('vscode and ssh2 are known where they belong, and nowhere else', () => {
  const wrong = wrongImports(
    (file, { specifier }) => specifier in CONFINED && CONFINED[specifier]?.(file) !== true,
  );
  assert.deepEqual(wrong, []);
});

test('ssh2 is loaded at the first connection, not at the start', () => {
  const wrong = wrongImports(
    (file, { specifier, kind }) =>
      kind === 'static' && isRelative(specifier) && targetOf(file, specifier) === LOADED_LATE,
  );
  assert.deepEqual(wrong, []);
});

test('activation reads these files, and no others', () => {
  const importsAtStart = new Map(
    sources.map(({ file, imports }) => [
      file,
      imports
        .filter(({ specifier, kind }) => kind === 'static' && isRelative(specifier))
        .map(({ specifier }) => targetOf(file, specifier)),
    ]),
  );
  assert.deepEqual([...reachable('extension.ts', importsAtStart)].sort(), LOADED_AT_START);
  const packages = wrongImports(
    (file, { specifier, kind }) =>
      LOADED_AT_START.includes(file) &&
      kind === 'static' &&
      !(isRelative(specifier) || specifier.startsWith('node:') || specifier === 'vscode'),
  );
  assert.deepEqual(packages, []);
});

test('pages know no Node', () => {
  const isPage = (file: string) => /^webview\/[^/]+\//.test(file);
  const wrong = wrongImports(
    (file, { specifier }) => isPage(file) && specifier.startsWith('node:'),
  );
  assert.deepEqual(wrong, []);
});

test('relative imports name the file they mean', () => {
  const wrong = wrongImports(
    (_file, { specifier }) => isRelative(specifier) && !/\.(ts|json)$/.test(specifier),
  );
  assert.deepEqual(wrong, []);
});

test('the reader sees every kind of import', () => {
  const text = [
    "import { a } from './a.ts';",
    "import type { B } from './b.ts';",
    "export { c } from './c.ts';",
    "export type { D } from './d.ts';",
    "const e = await import('./e.ts');",
    "type F = import('./f.ts').F;",
    "// import { g } from './g.ts';",
    'const h = "import { h } from \'./h.ts\'";',
    "import './i.ts';",
  ].join('\n');
  assert.deepEqual(
    importsOf('sample.ts', text).map(({ specifier, kind }) => `${specifier} ${kind}`),
    [
      './a.ts static',
      './b.ts type',
      './c.ts static',
      './d.ts type',
      './e.ts dynamic',
      './f.ts type',
      './i.ts static',
    ],
  );
});

test('what is imported by something imported is reached, too', () => {
  const arrows = new Map([
    ['a', ['b']],
    ['b', ['c', 'a']],
    ['d', ['e']],
  ]);
  assert.deepEqual([...reachable('a', arrows)], ['a', 'b', 'c']);
});

test('a circle is found, whatever leads to it', () => {
  const arrows = (pairs: Record<string, string[]>) => new Map(Object.entries(pairs));
  assert.deepEqual(findCycle(arrows({ a: ['b'], b: ['c', 'd'], c: [], d: ['b'] })), ['b', 'd']);
  assert.equal(findCycle(arrows({ a: ['b', 'c'], b: ['d'], c: ['d'], d: [] })), undefined);
});
