import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import {
  combineNodes,
  parseNodes,
  parseSettings,
  readNodeSettings,
  readSettings,
} from '../../src/remote/settings.ts';

test('nodes with comments and trailing commas, and defaults for what is left out', () => {
  const text = `{
    // the fleet
    "editor.fontSize": 12,
    "faultline.nodes": [
      { "name": "web-1", "labels": ["production"], "logs": ["/srv/app/log/*.log"] },
      { "name": "db", "host": "10.0.0.7", },
    ],
    "faultline.ssh.configFile": "/etc/fleet/config",
    "faultline.ssh.path": "/opt/ssh",
    "faultline.ssh.transport": "system",
  }`;
  assert.deepEqual(parseSettings(text, 's.json'), {
    sshConfigFile: '/etc/fleet/config',
    sshPath: '/opt/ssh',
    sshTransport: 'system',
    nodes: [
      {
        name: 'web-1',
        host: 'web-1',
        labels: ['production'],
        logs: ['/srv/app/log/*.log'],
        origin: 'settings',
      },
      { name: 'db', host: '10.0.0.7', labels: [], logs: [], origin: 'settings' },
    ],
  });
});

test('an empty file is no settings', () => {
  assert.deepEqual(parseSettings('', 's.json').nodes, []);
});

const wrong: readonly [string, string, RegExp][] = [
  ['a syntax error', '{\n"faultline.nodes": [\n{ "name": }\n]}', /^s\.json:3: ValueExpected\.$/],
  ['no list', '{\n"faultline.nodes": {}}', /^s\.json:2: "faultline.nodes" is not a list\.$/],
  [
    'no name',
    '{"faultline.nodes": [\n{"host": "h"}]}',
    /^s\.json:2: .* entry 1: "name" is missing/,
  ],
  [
    'a wrong type',
    '{"faultline.nodes": [{"name": "a",\n"logs": "x"}]}',
    /^s\.json:2: .*"logs" is not a list/,
  ],
  ['a name twice', '{"faultline.nodes": [{"name": "a"},\n{"name": "a"}]}', /^s\.json:2: .*twice/],
  [
    'an unknown property',
    '{"faultline.nodes": [{"name": "a",\n"tags": []}]}',
    /^s\.json:2: .*entry 1: "tags" is not known here\.$/,
  ],
  [
    'neither a node nor a group',
    '{"faultline.nodes": [\n7]}',
    /^s\.json:2: .*entry 1: is neither a node nor a group\.$/,
  ],
  ['an empty name', '{"faultline.nodes": [{"name": ""}]}', /entry 1: "name" is empty/],
  [
    'a wrong node in a group',
    '{"faultline.nodes": [{"group": "g", "nodes": ["a",\n{"host": "b"}]}]}',
    /^s\.json:2: .*entry 1, node 2: "name" is missing/,
  ],
  [
    'a range that is none',
    '{"faultline.nodes": [{"name": "web-[a-c]"}]}',
    /"web-\[a-c\]" has \[a-c\], which is no range/,
  ],
  ['two wrong entries', '{"faultline.nodes": [7, 8]}', /entry 1: .* \(and 1 more/],
  ['an option as host', '{"faultline.nodes": [{"name": "-oProxyCommand=x"}]}', /not a valid host/],
];

for (const [title, text, message] of wrong) {
  test(`settings with ${title} name the line`, () => {
    assert.throws(
      () => parseSettings(text, 's.json'),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'settings.invalid');
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

test('a missing default file is no settings, a missing named one is an error', async () => {
  assert.deepEqual((await readSettings('/nonexistent.json', false)).nodes, []);
  await assert.rejects(readSettings('/nonexistent.json', true), { code: 'settings.unreadable' });
});

test('groups give their nodes labels and logs, and ranges stand for many nodes', () => {
  const { nodes, problems } = parseNodes([
    {
      group: 'web',
      labels: ['production'],
      logs: ['/a'],
      nodes: [
        'web-[09-10].eu',
        { name: 'odd', host: '10.0.0.7', labels: ['old', 'production'], logs: ['/b'] },
      ],
    },
    { name: 'db-[1-2]', host: '10.0.0.[11-12]' },
  ]);
  assert.deepEqual(problems, []);
  const common = { group: 'web', origin: 'settings' };
  assert.deepEqual(nodes, [
    { ...common, name: 'web-09.eu', host: 'web-09.eu', labels: ['production'], logs: ['/a'] },
    { ...common, name: 'web-10.eu', host: 'web-10.eu', labels: ['production'], logs: ['/a'] },
    { ...common, name: 'odd', host: '10.0.0.7', labels: ['production', 'old'], logs: ['/a', '/b'] },
    { name: 'db-1', host: '10.0.0.11', labels: [], logs: [], origin: 'settings' },
    { name: 'db-2', host: '10.0.0.12', labels: [], logs: [], origin: 'settings' },
  ]);
});

test('what is wrong is one sentence an entry, and the other entries still count', () => {
  const { nodes, problems } = parseNodes([
    { name: 'a', colour: 'red' },
    { name: 'b' },
    { group: 'g', nodes: ['c', 7, 'x;[1-9]', '-oProxyCommand=x', 'd'] },
    { name: 'e-[1-3]', host: 'h-[1-2]' },
    { name: 'n-[1-101]-[1-100]' },
    { name: 'b' },
  ]);
  assert.deepEqual(
    nodes.map(({ name }) => name),
    ['b', 'c', 'd'],
  );
  assert.deepEqual(
    problems.map(({ message }) => message.replace('"faultline.nodes", ', '')),
    [
      'entry 1: "colour" is not known here',
      'entry 3, node 2: is neither a node nor a group',
      'entry 3, node 3: "x;1" is not a valid host name',
      'entry 3, node 4: "-oProxyCommand=x" is not a valid host name',
      'entry 4: "e-[1-3]" stands for 3 nodes, but its host "h-[1-2]" for 2',
      'entry 5: "n-[1-101]-[1-100]" stands for 10100 nodes, more than 10000',
      'entry 6: the node "b" stands there twice',
    ],
  );
});

test('10,000 nodes are the most, also together', () => {
  const { nodes, problems } = parseNodes([{ name: 'a-[1-9999]' }, { name: 'b-[1-2]' }]);
  assert.equal(nodes.length, 10_000);
  assert.match(problems[0]!.message, /entry 2: "b-\[1-2\]" makes more than 10000 nodes together/);
});

test('for a name in the user settings and in those of a workspace the first count, and it is said', () => {
  const { nodes, problems } = readNodeSettings([
    { owner: 'your user settings', value: [{ name: 'a', host: 'mine' }, { name: 'c' }] },
    {
      owner: 'the settings of this workspace',
      value: [{ name: 'a', host: 'theirs' }, { name: 'b' }, { name: 'c' }],
    },
  ]);
  assert.deepEqual(
    nodes.map(({ host }) => host),
    ['mine', 'c', 'b'],
  );
  assert.deepEqual(
    problems.map(({ message }) => message),
    [
      'In the settings of this workspace, "faultline.nodes", entry 1: ' +
        'the node "a" is also in your user settings, which wins',
    ],
  );
});

test('settings that are only looked for do not lead out of their folder, and are not huge', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'faultline-settings-'));
  try {
    const file = join(dir, 'project', '.vscode', 'settings.json');
    await mkdir(join(dir, 'project', '.vscode'), { recursive: true });
    await mkdir(join(dir, 'linked'));
    await writeFile(join(dir, 'secret.json'), '{}');
    await symlink(join(dir, 'secret.json'), file);
    await assert.rejects(readSettings(file, false), { code: 'settings.outside' });
    assert.deepEqual((await readSettings(file, true)).nodes, []);
    await symlink(join(dir, 'project', '.vscode'), join(dir, 'linked', '.vscode'));
    await rm(file);
    await writeFile(file, '{"faultline.nodes": [{"name": "a"}]}');
    const linked = join(dir, 'linked', '.vscode', 'settings.json');
    await assert.rejects(readSettings(linked, false), { code: 'settings.outside' });
    assert.equal((await readSettings(file, false)).nodes.length, 1);
    await truncate(file, 5 * 2 ** 30);
    await assert.rejects(readSettings(file, false), { code: 'settings.tooLarge' });
    await rm(file);
    await mkdir(file);
    await assert.rejects(readSettings(file, false), { code: 'settings.unreadable' });
  } finally {
    await rm(dir, { recursive: true });
  }
});

test('an ssh configuration that cannot be read does not take the configured nodes away', async () => {
  const { nodes: configured } = parseNodes([{ name: 'a' }]);
  const problems: unknown[] = [];
  const nodes = await combineNodes(configured, '/', (error) => problems.push(error));
  assert.deepEqual(nodes, configured);
  assert.equal((problems[0] as { code?: string }).code, 'ssh.configUnreadable');
  await assert.rejects(combineNodes(configured, '/'), { code: 'ssh.configUnreadable' });
});

test('hosts of the ssh configuration follow, unless a configured node stands for them', async () => {
  const configured = parseSettings('{"faultline.nodes": [{"name": "a", "host": "b"}]}', '').nodes;
  const nodes = await combineNodes(configured, '/nonexistent/config');
  assert.deepEqual(
    nodes.map((node) => node.name),
    ['a'],
  );
});
