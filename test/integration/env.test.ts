// Environments of the demo fleet, over real SSH: what differs is what was made to differ, and no secret of the
// fleet is seen anywhere.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { envCommand } from '../../src/cli/env.ts';
import { snapshotNode } from '../../src/env/collect.ts';
import { EnvHistory } from '../../src/env/history.ts';
import { canonicalText } from '../../src/env/canonical.ts';
import { isAvailable, unavailableChapters } from '../../src/env/envSnapshot.ts';
import { createRedactionKey } from '../../src/env/redactionKey.ts';
import { sshConnector } from '../../src/remote/connect.ts';
import { NodeRegistry } from '../../src/remote/nodeRegistry.ts';
import { combineNodes, readSettings } from '../../src/remote/settings.ts';
import { startFleet, type Fleet } from '../fleet/fleet.ts';
import { whyNoNamespaces } from '../fleet/namespaces.ts';
import type { FleetMode } from '../fleet/plan.ts';

/** Parts of the made-up secrets in the fleet's services (test/fleet/services.ts). */
const secrets = ['demo-only-not-a-password', 'tok_demo_fake'];

interface Difference {
  readonly path: string;
  readonly a: string | null;
  readonly b: string | null;
  readonly severity: string;
}

interface Comparison {
  readonly differences: readonly Difference[];
  readonly folded: readonly { readonly path: string; readonly note: string }[];
  readonly uncompared: readonly unknown[];
}

/** The command `faultline env`, with everything it prints kept. */
class EnvRunner {
  private readonly registry: NodeRegistry;
  private readonly key = createRedactionKey();
  private readonly historyDirectory: string;
  printed = '';

  constructor(registry: NodeRegistry, historyDirectory: string) {
    this.registry = registry;
    this.historyDirectory = historyDirectory;
  }

  async run(words: readonly string[], json: boolean): Promise<{ code: number; stdout: string }> {
    let stdout = '';
    const keep = (write: (text: string) => void): Writable =>
      new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          this.printed += chunk.toString();
          write(chunk.toString());
          done();
        },
      });
    const command = envCommand({
      resolveRun: () => Promise.reject(new Error('no run is asked for here')),
      key: () => this.key,
      history: () => new EnvHistory({ directory: this.historyDirectory }),
    });
    const code = await command(words, {
      access: this.registry,
      stdout: keep((text) => (stdout += text)),
      stderr: keep(() => undefined),
      signal: new AbortController().signal,
      json,
    });
    return { code, stdout };
  }

  async diff(a: string, b: string): Promise<Comparison> {
    const { code, stdout } = await this.run(['diff', a, b], true);
    const comparison = JSON.parse(stdout) as Comparison;
    assert.equal(code, comparison.differences.length > 0 ? 1 : 0);
    return comparison;
  }
}

async function registryOf(fleet: Fleet): Promise<NodeRegistry> {
  const registry = new NodeRegistry(
    sshConnector(
      () => ({ configFile: fleet.sshConfigFile }),
      () => ({}),
    ),
  );
  const settings = await readSettings(fleet.settingsFile, true);
  registry.setNodes(await combineNodes(settings.nodes, fleet.sshConfigFile));
  return registry;
}

const modes: FleetMode[] =
  (await whyNoNamespaces()) === undefined ? ['namespaces', 'loopback'] : ['loopback'];

for (const mode of modes) {
  test(`the environments of the demo fleet in ${mode} mode`, { timeout: 120_000 }, (t) =>
    environments(t, mode),
  );
}

async function environments(t: TestContext, mode: FleetMode): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'faultline-env-fleet-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const fleet = await startFleet({ dir, load: false, mode });
  t.after(() => fleet.stop());
  const registry = await registryOf(fleet);
  t.after(() => registry.dispose());
  const faultline = new EnvRunner(registry, join(dir, 'environments'));

  await t.test('every node answers every question', async () => {
    const key = createRedactionKey();
    for (const node of registry.nodes) {
      const snapshot = await snapshotNode(registry, node, key);
      assert.deepEqual(unavailableChapters(snapshot), [], node.name);
      faultline.printed += canonicalText(snapshot);
    }
  });

  await t.test('the missing variable is what differs between work-1 and work-3', async () => {
    const { differences, uncompared } = await faultline.diff('work-1', 'work-3');
    const [first] = differences;
    assert.deepEqual(
      [first?.path, first?.a, first?.b, first?.severity],
      ['env.TARIFF_REGION', 'eu-central', null, 'high'],
    );
    assert.deepEqual(uncompared, []);
  });

  await t.test('the wrong clock of store-1 is a difference, that of gate-1 is none', async () => {
    const clockOf = async (name: string): Promise<string | undefined> =>
      (await faultline.diff('work-1', name)).differences.find(({ path }) => path === 'clock.offset')
        ?.severity;
    assert.equal(await clockOf('gate-1'), undefined);
    const skew = fleet.nodes.find(({ name }) => name === 'store-1')?.clockSkewMs;
    assert.equal(await clockOf('store-1'), skew === 0 ? undefined : 'medium');
  });

  await t.test('what a connection alone changes is folded', async () => {
    const { folded } = await faultline.diff('work-1', 'work-2');
    const reasons = new Map(folded.map(({ path, note }) => [path, note]));
    assert.equal(reasons.get('env.SSH_CONNECTION'), 'of this connection');
  });

  await t.test('the older package is what differs between work-1 and work-2', async () => {
    const { differences } = await faultline.diff('work-1', 'work-2');
    const [first] = differences;
    assert.match(first?.path ?? '', /^packages\..*\/srv\/shop\/venv\.pricelib$/);
    assert.deepEqual([first?.a, first?.b, first?.severity], ['2.1.0', '1.4.2', 'high']);
    assert.ok(differences.length < 8, JSON.stringify(differences));
  });

  await t.test('the interpreter that the worker runs with is known to be in use', async () => {
    const work = registry.nodes.find(({ name }) => name === 'work-1');
    assert.ok(work !== undefined);
    const { pythons } = await snapshotNode(registry, work, createRedactionKey());
    assert.ok(isAvailable(pythons));
    const shop = pythons.interpreters.find(({ foundBy }) => foundBy.includes('$SHOP_HOME/venv'));
    assert.deepEqual([shop?.isInUse, shop?.isVenv], [true, true]);
  });

  await t.test('a snapshot file of a node and the node itself do not differ', async () => {
    const file = join(dir, 'work-1.json');
    assert.equal((await faultline.run(['work-1', '--out', file], false)).code, 0);
    const { differences } = await faultline.diff(file, 'work-1');
    // In loopback mode other programs of this machine come and go.
    const ofFleet = differences.filter(
      ({ path }) => !path.startsWith('python./') || path.includes(dir),
    );
    assert.deepEqual(mode === 'loopback' ? ofFleet : differences, []);
  });

  await t.test(
    'work-2 is the odd one out, and its older package goes with its failure',
    async () => {
      const names = ['work-1', 'work-2', 'work-3'];
      const { code, stdout } = await faultline.run(
        ['matrix', ...names, '--failing', 'work-2'],
        true,
      );
      assert.equal(code, 1);
      const { rows, association } = JSON.parse(stdout) as {
        rows: { path: string; severity: string; outliers: number[]; values: { text: string }[] }[];
        association: { unproven: { facts: { path: string; text: string }[] }[] };
      };
      const pricelib = rows.find(({ path }) => path.endsWith('/srv/shop/venv.pricelib'));
      assert.deepEqual(
        [pricelib?.severity, pricelib?.outliers, pricelib?.values.map(({ text }) => text)],
        ['high', [1], ['2.1.0', '1.4.2']],
      );
      const [first] = association.unproven;
      assert.deepEqual(first?.facts[0], {
        path: pricelib?.path,
        text: '1.4.2',
        severity: 'high',
      });
      const text = await faultline.run(['matrix', ...names, '--failing', 'work-2'], false);
      assert.match(text.stdout, /pricelib 1\.4\.2 on 1 of 1 failing, 0 of 2 passing nodes/);
    },
  );

  await t.test(
    'the snapshots of the command are kept, and what was asked twice did not change',
    async () => {
      const { code, stdout } = await faultline.run(['history', 'work-2', 'pricelib'], false);
      assert.equal(code, 0);
      assert.match(stdout, /\/srv\/shop\/venv\.pricelib is 1\.4\.2, since before 2/);
    },
  );

  await t.test('no secret of the fleet was printed', () => {
    for (const secret of secrets) assert.ok(!faultline.printed.includes(secret));
    assert.ok(faultline.printed.length > 10_000);
  });
}
