/**
 * Lint rules: what the compiler cannot see. Formatting is prettier's, layers between folders are
 * test/architecture.test.ts's.
 */
import { defineConfig } from 'eslint/config';
import path from 'node:path';
import tseslint from 'typescript-eslint';

const root = path.resolve(import.meta.dirname, '../..');

/** `vscode` is for the user interface alone; the same core serves the command `faultline`. */
const noVscode = { name: 'vscode', message: 'Only src/ui and src/extension.ts know VS Code.' };
/** ssh2 is big and accepts any host key by default: one file holds both facts. */
const noSsh2 = { name: 'ssh2', message: 'Only src/remote/ssh2Connection.ts knows ssh2.' };

/**
 * @param {{ name: string, message: string }[]} paths
 * @returns {import('eslint').Linter.RulesRecord}
 */
const restrictImports = (...paths) => ({ 'no-restricted-imports': ['error', { paths }] });

export default defineConfig(
  {
    ignores: [
      'node_modules/**',
      'dist/**',
      '.cache/**',
      '.vscode-test/**',
      'test/out/**',
      'test/fixtures/**',
      'src/probe/node/**',
      'media/**',
    ],
  },
  {
    files: ['**/*.ts', '**/*.mjs', '**/*.cjs'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: {
        tsconfigRootDir: root,
        // One program for everything: three of them would read most files three times.
        project: 'test/tools/tsconfig.lint.json',
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-constant-binary-expression': 'error',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-template-curly-in-string': 'error',
      'no-unreachable-loop': 'error',
      'object-shorthand': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      // What a promise was rejected with is passed on as it is, whatever it is.
      '@typescript-eslint/only-throw-error': 'off',
      'no-throw-literal': 'error',
      // Types already forbid unused names; a leading underscore says "not used, on purpose".
      '@typescript-eslint/no-unused-vars': 'off',
      // An async function without await is how an interface of promises is met by a value.
      '@typescript-eslint/require-await': 'off',
      // Numbers in messages are fine; objects, undefined and the like are not.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      ...restrictImports(noVscode, noSsh2),
    },
  },
  {
    // A JSDoc cast is not part of the syntax tree: the compiler honours it, these rules cannot.
    // And in a CommonJS file `require` is the way.
    files: ['**/*.mjs', '**/*.cjs'],
    rules: {
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-require-imports': 'off',
    },
  },
  { files: ['src/ui/**', 'src/extension.ts'], rules: restrictImports(noSsh2) },
  { files: ['src/remote/ssh2Connection.ts'], rules: restrictImports(noVscode) },
  {
    // Tests may start an ssh2 server, and the suite inside the extension host is VS Code's own.
    files: ['test/**'],
    rules: {
      'no-restricted-imports': 'off',
      // node:test's test() returns a promise that its runner awaits.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: 'node:test', name: ['test', 'it', 'describe', 'suite'] },
          ],
        },
      ],
    },
  },
);
