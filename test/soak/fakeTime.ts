// libfaketime (apt install faketime): another clock for one process and its children.

import { existsSync } from 'node:fs';

const candidates = ['x86_64', 'aarch64'].map(
  (machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`,
);

/** The library's path. */
export function fakeTimeLibrary(): string {
  const found = candidates.find((file) => existsSync(file));
  if (found === undefined) throw new Error('libfaketime is not installed (apt install faketime)');
  return found;
}
