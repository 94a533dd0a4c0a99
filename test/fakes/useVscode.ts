// `import '../fakes/useVscode.ts'`, then `await import('../../src/ui/….ts')`: what that imports from `vscode` is
// test/fakes/vscode.ts.

import { registerHooks } from 'node:module';

const fakeModule = new URL('vscode.ts', import.meta.url).href;

registerHooks({
  resolve(specifier, context, nextResolve) {
    if (specifier === 'vscode') return { url: fakeModule, shortCircuit: true };
    return nextResolve(specifier, context);
  },
});
