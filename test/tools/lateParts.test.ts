import assert from 'node:assert/strict';
import { build } from 'esbuild';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after } from 'node:test';
import { latePrefix, lateParts } from './lateParts.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'faultline-late-parts-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** `start` and two late parts that share a class with it, and another one with each other only. */
const sources = {
  'start.ts': `
    import { Shared } from './shared.ts';
    export const ownInstance = new Shared();
    export const isShared = (value: unknown) => value instanceof Shared;
    export const one = () => import('./one.ts');
    export const two = () => import('./two.ts');
  `,
  'shared.ts': 'export class Shared { readonly text = "SHARED" }',
  'between.ts': 'import { Shared } from "./shared.ts"; export class Between extends Shared {}',
  'one.ts': `
    import { basename } from 'node:path';
    import { Between } from './between.ts';
    import { Shared } from './shared.ts';
    export default basename('/x/ONE');
    export const made = new Shared();
    export const isBetween = (value: unknown) => value instanceof Between;
  `,
  'two.ts': `
    import { Between } from './between.ts';
    export const made = new Between();
    export const three = () => import('./three.ts');
  `,
  'three.ts': 'export const text = "THREE";',
};

interface Start {
  readonly ownInstance: unknown;
  isShared(value: unknown): boolean;
  one(): Promise<{ default: string; made: unknown; isBetween(value: unknown): boolean }>;
  two(): Promise<{ made: unknown; three(): Promise<{ text: string }> }>;
}

async function bundle(minify: boolean): Promise<string> {
  const dist = path.join(folder, minify ? 'minified' : 'plain');
  for (const [name, text] of Object.entries(sources)) writeFileSync(path.join(folder, name), text);
  await build({
    absWorkingDir: folder,
    entryPoints: ['start.ts'],
    outdir: dist,
    bundle: true,
    platform: 'node',
    minifyWhitespace: minify,
    minifySyntax: minify,
    logLevel: 'error',
    plugins: [lateParts('start.js')],
  });
  // The project's package.json is far away; without one, Node takes these files for CommonJS.
  return dist;
}

for (const minify of [false, true]) {
  test(`late parts are loaded when called for, and share their classes (minified: ${minify})`, async () => {
    const dist = await bundle(minify);
    const require = createRequire(path.join(dist, 'x.js'));
    const loaded = (): string[] =>
      Object.keys(require.cache).filter((file) => file.startsWith(dist + path.sep));
    const start = require(path.join(dist, 'start.js')) as Start;
    assert.equal(loaded().length, 1);

    const one = await start.one();
    assert.equal(one.default, 'ONE');
    assert.ok(start.isShared(one.made));
    assert.equal(one.isBetween(one.made), false);
    const afterOne = loaded().length;

    const two = await start.two();
    assert.ok(loaded().length > afterOne);
    assert.ok(one.isBetween(two.made));
    assert.ok(start.isShared(two.made));
    assert.equal((await two.three()).text, 'THREE');
  });
}

test('what several parts share is written once, and every late file says that it is one', async () => {
  const dist = await bundle(true);
  const files = readdirSync(dist).map((name) => ({
    name,
    text: readFileSync(path.join(dist, name), 'utf8'),
  }));
  const withShared = files.filter(({ text }) => text.includes('SHARED'));
  assert.deepEqual(
    withShared.map(({ name }) => name),
    ['start.js'],
  );
  const others = files.filter(({ name }) => !name.startsWith(latePrefix));
  assert.deepEqual(
    others.map(({ name }) => name),
    ['start.js'],
  );
});
