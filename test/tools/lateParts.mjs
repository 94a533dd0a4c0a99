/**
 * Splits a bundle for VS Code: one file that activation loads, and one for each dynamic `import()`,
 * loaded when it is called for. What several share exists once.
 *
 * esbuild splits ES modules only. VS Code loads those, too, but through hooks that make them slower than
 * CommonJS (39 ms of a busy processor instead of 27, until activated). So the split modules are bundled
 * once more, as CommonJS: those that the entry imports statically become one file, and every late part
 * takes them from there.
 */
import { build } from 'esbuild';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** How the files of late parts begin. */
export const latePrefix = 'late-';

/**
 * For a build of one entry point; replaces its format.
 *
 * @param {string} entry name of the output, e.g. `extension.js`
 * @returns {import('esbuild').Plugin}
 */
export function lateParts(entry) {
  return {
    name: 'late-parts',
    setup(plugin) {
      const options = plugin.initialOptions;
      Object.assign(options, {
        format: 'esm',
        splitting: true,
        chunkNames: `${latePrefix}[name]-[hash]`,
        metafile: true,
        write: false,
      });
      const { sourcemap } = options;
      // The second pass finds a map only inside the text that it belongs to.
      if (sourcemap) options.sourcemap = 'inline';
      plugin.onEnd(async ({ errors, outputFiles = [], metafile }) => {
        if (errors.length > 0 || metafile === undefined) return;
        const parts = new Map(outputFiles.map((file) => [path.basename(file.path), file.text]));
        const atStart = staticParts(entry, metafile);
        const { outputFiles: files } = await build({
          ...options,
          ...bundledAgain(entry, parts, atStart),
          sourcemap,
        });
        const folder = path.resolve(options.absWorkingDir ?? '', options.outdir ?? '');
        writeParts(folder, entry, atStart, files);
      });
    },
  };
}

/**
 * @param {string} entry
 * @param {import('esbuild').Metafile} metafile
 * @returns {ReadonlySet<string>} the parts that the entry needs at its start, itself included
 */
function staticParts(entry, { outputs }) {
  /** @type {Set<string>} */
  const found = new Set();
  const byName = new Map(Object.entries(outputs).map(([file, out]) => [path.basename(file), out]));
  const walk = (/** @type {string} */ name) => {
    const part = byName.get(name);
    if (part === undefined || found.has(name)) return;
    found.add(name);
    for (const imported of part.imports) {
      if (imported.kind === 'import-statement') walk(path.basename(imported.path));
    }
  };
  walk(entry);
  return found;
}

/**
 * @param {string} entry
 * @param {ReadonlyMap<string, string>} parts name → ES module
 * @param {ReadonlySet<string>} atStart names of those that become one file
 * @returns {import('esbuild').BuildOptions & { write: false }}
 */
function bundledAgain(entry, parts, atStart) {
  const late = [...parts.keys()].filter((name) => !atStart.has(name));
  return {
    entryPoints: [entry, ...late],
    format: 'cjs',
    splitting: false,
    write: false,
    // A dynamic import becomes a late `require`, which the extension host serves from its own cache.
    supported: { 'dynamic-import': false },
    plugins: [
      {
        name: 'parts',
        setup(plugin) {
          plugin.onResolve({ filter: /.*/ }, ({ kind, path: wanted, importer }) => {
            const name = path.basename(wanted);
            if (kind === 'entry-point') {
              return { path: name, namespace: name === entry ? 'start' : 'part' };
            }
            const isAtStart = atStart.has(name) && atStart.has(importer);
            return isAtStart && kind === 'import-statement'
              ? { path: name, namespace: 'part' }
              : { path: wanted, external: true };
          });
          plugin.onLoad({ filter: /.*/, namespace: 'part' }, ({ path: name }) => ({
            contents: parts.get(name),
          }));
          plugin.onLoad({ filter: /.*/, namespace: 'start' }, () => ({
            contents: [
              `export * from './${entry}';`,
              ...[...atStart].map((name) => `export * as '${name}' from './${name}';`),
            ].join('\n'),
          }));
        },
      },
    ],
  };
}

/**
 * @param {string} folder
 * @param {string} entry
 * @param {ReadonlySet<string>} atStart
 * @param {readonly import('esbuild').OutputFile[]} files
 */
function writeParts(folder, entry, atStart, files) {
  mkdirSync(folder, { recursive: true });
  // Their names hold a hash: while watching, those of the build before would pile up.
  for (const name of readdirSync(folder)) {
    if (name.startsWith(latePrefix)) rmSync(path.join(folder, name));
  }
  for (const file of files) {
    const text = file.text
      .replaceAll(/require\("\.\/([^"]+)"\)/g, (whole, name) =>
        atStart.has(name) ? `require("./${entry}")["${name}"]` : whole,
      )
      // For every file that imports a CommonJS module, esbuild copies all its names into a namespace: the
      // hundreds of `vscode` took 4 ms. It has no default export and never changes: one is enough.
      .replaceAll(/__toESM\(require\("vscode"\)(, ?1)?\)/g, 'require("vscode")');
    writeFileSync(file.path, text);
  }
}
