import assert from 'node:assert/strict';
import test from 'node:test';
import { oneAtATime } from '../../src/remote/promptQueue.ts';

const question = (where: string) => ({ where, text: 'Password', echo: false, isFromNode: false });

test('questions are asked one after another', async () => {
  const log: string[] = [];
  const prompts = oneAtATime({
    password: async ({ where }) => {
      log.push(`${where} asked`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      log.push(`${where} answered`);
      return where;
    },
  });
  const answers = await Promise.all(['a', 'b'].map((where) => prompts.password!(question(where))));
  assert.deepEqual(answers, ['a', 'b']);
  assert.deepEqual(log, ['a asked', 'a answered', 'b asked', 'b answered']);
});

test('declining one declines those that wait, but not those that come later', async () => {
  const asked: string[] = [];
  const prompts = oneAtATime({
    password: ({ where }) => {
      asked.push(where);
      return Promise.resolve(where === 'a' ? undefined : where);
    },
  });
  const waiting = ['a', 'b', 'c'].map((where) => prompts.password!(question(where)));
  assert.deepEqual(await Promise.all(waiting), [undefined, undefined, undefined]);
  assert.equal(await prompts.password!(question('d')), 'd');
  assert.deepEqual(asked, ['a', 'd']);
});

test('a dialog that fails does not block the next question', async () => {
  let count = 0;
  const prompts = oneAtATime({
    passphrase: () => (count++ === 0 ? Promise.reject(new Error('gone')) : Promise.resolve('x')),
  });
  const key = { keyFile: 'k', wasWrong: false };
  await assert.rejects(prompts.passphrase!(key), /gone/);
  assert.equal(await prompts.passphrase!(key), 'x');
});
