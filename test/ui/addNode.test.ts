import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { afterEach, beforeEach } from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import type { Node } from '../../src/remote/node.ts';
import { combineNodes, parseNodes } from '../../src/remote/settings.ts';
import type { AddNodeUses } from '../../src/ui/addNode.ts';
import '../fakes/useVscode.ts';
import { fake, QuickInputButtons, type FakeQuickInput } from '../fakes/vscode.ts';

const { AddNode } = await import('../../src/ui/addNode.ts');

let dir: string;
let configFile: string;
let nodes: readonly Node[];
/** Names, in order. */
let connected: string[];
let revealed: string[];
let failures: Error[];

const uses: AddNodeUses = {
  get nodes() {
    return nodes;
  },
  connect: async (node) => {
    connected.push(node.name);
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
  },
  refreshNodes: async () => {
    nodes = await combineNodes(parseNodes(fake.settings.get('faultline.nodes')).nodes, configFile);
  },
  reveal: async (node) => void revealed.push(node.name),
  sshOptions: () => ({ configFile }),
};

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'faultline-add-ui-'));
  configFile = join(dir, 'config');
  writeFileSync(configFile, 'Host old\n');
  connected = [];
  revealed = [];
  failures = [];
  await uses.refreshNodes();
});
afterEach(() => {
  rmSync(dir, { recursive: true });
  fake.reset();
});

function run(...inputs: ((input: FakeQuickInput) => unknown)[]): Promise<unknown> {
  fake.inputs = inputs;
  return Promise.resolve(new AddNode(uses).commands()['addNode']());
}

function typing(value: string, seen?: (input: FakeQuickInput) => void) {
  return (input: FakeQuickInput): void => {
    seen?.(input);
    input.type(value);
    input.accept();
  };
}
const accepting = (input: FakeQuickInput): void => input.accept();
const choosing = (label: RegExp) => (input: FakeQuickInput) => input.choose(label);
const back = (input: FakeQuickInput): void => input.press(QuickInputButtons.Back);

test('a pasted command becomes a Host block that was shown, and the node is connected to', async () => {
  fake.answer = ({ choices }) => choices.find((choice) => choice === 'Add');
  await run(
    typing('ssh -p 2222 me@10.0.0.7 -J bastion', (input) => {
      assert.deepEqual([input.title, input.step, input.totalSteps], ['Add Node', 1, 3]);
    }),
    typing('web', (input) => {
      assert.equal(input.value, '10.0.0.7');
      assert.deepEqual(input.buttons, [QuickInputButtons.Back]);
    }),
    (input) => {
      assert.equal(input.items.length, 1, 'only the configuration can hold a jump host');
      input.choose(/config/);
    },
  );
  const block = 'Host web\n  HostName 10.0.0.7\n  User me\n  Port 2222\n  ProxyJump bastion\n';
  assert.equal(fake.messages[0]!.detail, block);
  assert.equal(readFileSync(configFile, 'utf8'), `Host old\n\n${block}`);
  assert.deepEqual([revealed, connected], [['web'], ['web']]);
});

test('nothing is written when the text is not agreed to', async () => {
  await run(typing('me@10.0.0.7'), typing('web'), choosing(/config/), (input) => input.hide());
  assert.equal(fake.messages.length, 1);
  assert.equal(readFileSync(configFile, 'utf8'), 'Host old\n');
  assert.deepEqual(connected, []);
});

test('a plain host can be kept in the user settings', async () => {
  await run(typing('me@10.0.0.7'), typing('web'), choosing(/user settings/));
  assert.deepEqual(fake.settings.get('faultline.nodes'), [{ name: 'web', host: 'me@10.0.0.7' }]);
  assert.deepEqual(connected, ['web']);
});

test('one can go back, and finds what was typed', async () => {
  await run(
    typing('10.0.0.7'),
    back,
    (input) => {
      assert.equal(input.value, '10.0.0.7');
      input.type('10.0.0.8');
      input.accept();
    },
    typing('web'),
    back,
    (input) => {
      assert.equal(input.value, 'web');
      input.accept();
    },
    choosing(/user settings/),
  );
  assert.deepEqual(fake.settings.get('faultline.nodes'), [{ name: 'web', host: '10.0.0.8' }]);
});

test('a wrong text stays, with what is wrong about it', async () => {
  await run(async (input) => {
    input.type('ssh $(id)');
    input.accept();
    await new Promise((resolve) => setImmediate(resolve));
    const { message } = input.validationMessage as { message: string };
    assert.match(message, /not replaced/);
    assert.equal(input.value, 'ssh $(id)');
    input.hide();
  });
  await run(typing('10.0.0.7'), async (input) => {
    input.type('old');
    input.accept();
    await new Promise((resolve) => setImmediate(resolve));
    assert.match((input.validationMessage as { message: string }).message, /already/);
    input.hide();
  });
});

test('what is not used of a command is said while it is typed', async () => {
  await run(async (input) => {
    input.type('ssh -A web');
    await new Promise((resolve) => setImmediate(resolve));
    const { message } = input.validationMessage as { message: string };
    assert.equal(message, 'Not used: agent forwarding (-A).');
    input.hide();
  });
});

test('a node that cannot be reached is corrected from what was typed, and left no trace', async () => {
  failures = [new UserError('node.refused', 'web refused.', { hint: 'Start sshd.' })];
  fake.answer = ({ choices }) => choices.find((choice) => ['Add', 'Correct…'].includes(choice));
  await run(
    typing('me@10.0.0.7'),
    typing('web'),
    choosing(/config/),
    (input) => {
      assert.equal(fake.messages[1]!.text, 'web refused. Start sshd.');
      assert.equal(readFileSync(configFile, 'utf8'), 'Host old\n');
      assert.equal(input.value, 'me@10.0.0.7');
      input.type('me@10.0.0.8');
      input.accept();
    },
    typing('web'),
    choosing(/config/),
  );
  assert.match(readFileSync(configFile, 'utf8'), /10\.0\.0\.8/);
  assert.doesNotMatch(readFileSync(configFile, 'utf8'), /10\.0\.0\.7/);
  assert.deepEqual(connected, ['web', 'web']);
});

test('a node that cannot be reached stays when it is to stay; the next time begins with its text', async () => {
  failures = [new UserError('node.refused', 'web refused.')];
  const addNode = new AddNode(uses);
  fake.inputs = [typing('10.0.0.7'), typing('web'), choosing(/user settings/)];
  await addNode.commands()['addNode']();
  assert.deepEqual(fake.settings.get('faultline.nodes'), [{ name: 'web', host: '10.0.0.7' }]);
  let value = '';
  fake.inputs = [
    (input) => {
      value = input.value;
      input.hide();
    },
  ];
  await addNode.commands()['addNode']();
  assert.equal(value, '10.0.0.7');
});

test('what ssh would refuse is told before anything is written, and the text is kept', async () => {
  const addNode = new AddNode(uses);
  fake.inputs = [typing('ssh -o ConnectTimeout=soon 10.0.0.7'), typing('web'), choosing(/config/)];
  await assert.rejects(async () => addNode.commands()['addNode'](), { code: 'ssh.configInvalid' });
  assert.equal(readFileSync(configFile, 'utf8'), 'Host old\n');
  let value = '';
  fake.inputs = [
    (input) => {
      value = input.value;
      input.hide();
    },
  ];
  await addNode.commands()['addNode']();
  assert.equal(value, 'ssh -o ConnectTimeout=soon 10.0.0.7');
});

test('cancelling the connection leaves the node without a complaint', async () => {
  failures = [new DOMException('', 'AbortError')];
  await run(typing('10.0.0.7'), accepting, choosing(/user settings/));
  assert.deepEqual(fake.messages, []);
});

test('a name that is listed already is only connected to', async () => {
  await run(typing('ssh old'));
  assert.deepEqual([revealed, connected], [['old'], ['old']]);
  assert.equal(readFileSync(configFile, 'utf8'), 'Host old\n');
});

test('a program that would run here is pointed out', async () => {
  await run(
    typing("ssh -o 'ProxyCommand=nc -x p %h %p' 10.0.0.7"),
    typing('web'),
    choosing(/config/),
    (input) => input.hide(),
  );
  assert.match(fake.messages[0]!.detail ?? '', /This runs on your machine: nc -x p %h %p/);
});
