import assert from 'node:assert/strict';
import test from 'node:test';
import { combineNodes, parseSettings, readSettings } from '../../src/remote/settings.ts';

test('nodes with comments and trailing commas, and defaults for what is left out', () => {
  const text = `{
    // the fleet
    "editor.fontSize": 12,
    "faultline.nodes": [
      { "name": "web-1", "labels": ["production"], "logs": ["/srv/app/log/*.log"] },
      { "name": "db", "host": "10.0.0.7", },
    ],
    "faultline.ssh.configFile": "/etc/fleet/config",
  }`;
  assert.deepEqual(parseSettings(text, 's.json'), {
    sshConfigFile: '/etc/fleet/config',
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
  ['no name', '{"faultline.nodes": [\n{"host": "h"}]}', /^s\.json:2: .* entry 1: name: /],
  ['a wrong type', '{"faultline.nodes": [{"name": "a",\n"logs": "x"}]}', /^s\.json:2: .*logs: /],
  ['a name twice', '{"faultline.nodes": [{"name": "a"},\n{"name": "a"}]}', /^s\.json:2: .*twice/],
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

test('hosts of the ssh configuration follow, unless a configured node stands for them', async () => {
  const configured = parseSettings('{"faultline.nodes": [{"name": "a", "host": "b"}]}', '').nodes;
  const nodes = await combineNodes(configured, '/nonexistent/config');
  assert.deepEqual(
    nodes.map((node) => node.name),
    ['a'],
  );
});
