import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import test, { afterEach } from 'node:test';
import '../fakes/useVscode.ts';
import { fake, workspace } from '../fakes/vscode.ts';

const { readConfig } = await import('../../src/ui/config.ts');

afterEach(() => {
  workspace.isTrusted = true;
  fake.reset();
});

function namesOf(): string[] {
  return readConfig().nodes.map(({ name, host }) => `${name} ${host}`);
}

test('the nodes of the user and of a trusted workspace add up, and the user’s win', () => {
  fake.settings.set('faultline.nodes', [{ name: 'a', host: 'mine' }]);
  fake.workspaceSettings.set('faultline.nodes', [
    { name: 'a', host: 'theirs' },
    { name: 'b-[1-2]' },
  ]);
  assert.deepEqual(namesOf(), ['a mine', 'b-1 b-1', 'b-2 b-2']);
  assert.match(readConfig().nodeProblems[0]!.message, /also in your user settings, which wins/);
});

test('a workspace that is not trusted names no nodes', () => {
  workspace.isTrusted = false;
  fake.settings.set('faultline.nodes', [{ name: 'a' }]);
  fake.workspaceSettings.set('faultline.nodes', [{ name: 'b', host: 'evil' }]);
  assert.deepEqual(namesOf(), ['a a']);
});

test('paths may begin with ~, and empty ones are none', () => {
  fake.settings.set('faultline.ssh.configFile', '~/fleet/config');
  fake.settings.set('faultline.ssh.path', ' ');
  fake.settings.set('faultline.ssh.transport', 'system');
  const { ssh } = readConfig();
  const configFile = `${userInfo().homedir}/fleet/config`;
  assert.deepEqual(ssh, { configFile, sshPath: undefined, transport: 'system' });
});

test('a wrong entry is a problem, and the others count', () => {
  fake.settings.set('faultline.nodes', [{ name: 'a', colour: 1 }, { name: 'b' }]);
  assert.deepEqual(namesOf(), ['b b']);
  assert.equal(
    readConfig().nodeProblems[0]!.message,
    'In your user settings, "faultline.nodes", entry 1: "colour" is not known here',
  );
});
