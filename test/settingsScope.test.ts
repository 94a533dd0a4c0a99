// a cloned folder must not choose what runs, where it connects to, which keys and files it reads, nor which
// nodes count as safe. Read from package.json, so that a new setting cannot be forgotten.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

interface Setting {
  readonly scope?: string;
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly description?: string;
  readonly markdownDescription?: string;
}

interface Manifest {
  readonly capabilities: {
    readonly untrustedWorkspaces: {
      readonly supported: string;
      readonly restrictedConfigurations: readonly string[];
    };
  };
  readonly contributes: {
    readonly configuration: { readonly properties: Readonly<Record<string, Setting>> };
  };
}

const manifest = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8'),
) as Manifest;
const settings = manifest.contributes.configuration.properties;
const { supported, restrictedConfigurations } = manifest.capabilities.untrustedWorkspaces;

/** Settings that only change how things look or how they are counted, each with the values it can have. */
const harmless = new Set(['faultline.time.display']);

/** A workspace cannot set these at all, trusted or not. */
const outOfReach = (setting: Setting | undefined): boolean =>
  setting?.scope === 'machine' || setting?.scope === 'application';

test('in an untrusted workspace no setting names a program, a host, a key, a file or a label', () => {
  assert.equal(supported, 'limited');
  const open = Object.entries(settings)
    .filter(([key, setting]) => !harmless.has(key) && !outOfReach(setting))
    .map(([key]) => key)
    .filter((key) => !restrictedConfigurations.includes(key));
  assert.deepEqual(open, []);
});

test('what counts as harmless has a fixed list of values, or is a number or a switch', () => {
  for (const key of harmless) {
    const setting = settings[key];
    assert.ok(
      setting?.enum !== undefined || ['number', 'integer', 'boolean'].includes(setting?.type ?? ''),
      key,
    );
  }
});

test('what names a program or an ssh configuration is this machine’s alone', () => {
  for (const [key, setting] of Object.entries(settings)) {
    const isOfSsh = key.startsWith('faultline.ssh.');
    const isPath = /\.(path|program|file|configFile|socket)$/i.test(key);
    if (isOfSsh || isPath) assert.ok(outOfReach(setting), `${key} has scope ${setting.scope}`);
  }
});

test('every restricted setting exists', () => {
  assert.deepEqual(
    restrictedConfigurations.filter((key) => settings[key] === undefined),
    [],
  );
});

test('every setting says what it does, and where it counts', () => {
  for (const [key, setting] of Object.entries(settings)) {
    assert.ok(setting.description ?? setting.markdownDescription, key);
    assert.ok(setting.scope, `${key} has no scope`);
  }
});
