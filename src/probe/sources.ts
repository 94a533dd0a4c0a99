// The programs that run on nodes, as text to send. TypeScript sees those files only through here.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const cache = new Map<string, string>();

/**
 * The text of a probe file such as `python/sampler.py`. In the sources it lies beside this file, in a build
 * under `dist/probe`.
 */
export function probeSource(name: string): string {
  let text = cache.get(name);
  if (text === undefined) {
    const built = join(import.meta.dirname, 'probe', name);
    text = readFileSync(existsSync(built) ? built : join(import.meta.dirname, name), 'utf8');
    cache.set(name, text);
  }
  return text;
}
