import assert from 'node:assert/strict';
import test, { afterEach } from 'node:test';
import '../fakes/useVscode.ts';
import { fake } from '../fakes/vscode.ts';

const { NodeProblems } = await import('../../src/ui/nodeProblems.ts');

afterEach(() => fake.reset());

const problems = (...messages: string[]): Error[] => messages.map((message) => new Error(message));

test('all wrong entries are one message, and the same ones are not told again', () => {
  const told = new NodeProblems();
  told.tell([]);
  told.tell(problems('a\u202e is wrong', 'b is wrong', 'c', 'd', 'e'));
  told.tell(problems('a\u202e is wrong', 'b is wrong', 'c', 'd', 'e'));
  assert.deepEqual(
    fake.messages.map(({ text }) => text),
    ['a‹U+202E› is wrong. b is wrong. c. And 2 more.'],
  );
  told.tell([]);
  told.tell(problems('b is wrong'));
  assert.equal(fake.messages.length, 2);
});

test('the settings are one click away', async () => {
  fake.answer = ({ choices }) => choices[0];
  new NodeProblems().tell(problems('a'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(fake.executed, [['workbench.action.openSettings', 'faultline.nodes']]);
});
