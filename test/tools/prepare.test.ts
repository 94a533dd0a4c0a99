import assert from 'node:assert/strict';
import test from 'node:test';
import { missingPackages } from './prepare.mjs';

test('installed packages are compared with the lock file by version', () => {
  const wanted = {
    '': { version: '0.1.0' },
    'node_modules/kept': { version: '1.0.0' },
    'node_modules/updated': { version: '2.0.0' },
    'node_modules/new': { version: '1.0.0' },
    'node_modules/for-another-platform': { version: '1.0.0', optional: true },
    'node_modules/for-this-platform': { version: '2.0.0', optional: true },
  };
  const installed = {
    'node_modules/kept': { version: '1.0.0' },
    'node_modules/updated': { version: '1.9.0' },
    'node_modules/for-this-platform': { version: '1.0.0', optional: true },
    'node_modules/no-longer-wanted': { version: '1.0.0' },
  };
  assert.deepEqual(missingPackages(wanted, installed), [
    'node_modules/updated',
    'node_modules/new',
    'node_modules/for-this-platform',
  ]);
});
