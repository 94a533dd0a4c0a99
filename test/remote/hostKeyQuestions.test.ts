import assert from 'node:assert/strict';
import test from 'node:test';
import { delay } from '../../src/base/async.ts';
import { HostKeyQuestions } from '../../src/remote/hostKeyQuestions.ts';
import type { HostKeyQuestion } from '../../src/remote/loginPrompts.ts';

const quick = { quietMs: 30, longestMs: 150, acceptedMs: 10_000, declinedMs: 0 };

function question(name: string, fingerprint = 'SHA256:a'): HostKeyQuestion {
  return { name, keyType: 'ssh-ed25519', fingerprint, knownHostsFile: '/k' };
}

/** Dialogs that wait for the test to answer them. */
function dialogs(): {
  readonly shown: string[][];
  readonly show: (questions: readonly HostKeyQuestion[]) => Promise<boolean>;
  readonly answer: (accepted: boolean) => void;
  readonly fail: (error: Error) => void;
} {
  const shown: string[][] = [];
  let up: { resolve: (accepted: boolean) => void; reject: (error: Error) => void } | undefined;
  return {
    shown,
    show: (questions) => {
      assert.equal(up, undefined, 'never two dialogs at once');
      shown.push(questions.map(({ name }) => name));
      return new Promise((resolve, reject) => (up = { resolve, reject }));
    },
    answer: (accepted) => {
      up?.resolve(accepted);
      up = undefined;
    },
    fail: (error) => {
      up?.reject(error);
      up = undefined;
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 5_000; !condition();) {
    assert.ok(Date.now() < end, 'waited in vain');
    await delay(2);
  }
}

test('R-02: the questions of 64 nodes are one dialog', async () => {
  const { shown, show, answer } = dialogs();
  const questions = new HostKeyQuestions(show, { ...quick, longestMs: 5_000 });
  const names = Array.from({ length: 64 }, (_, index) => `node-${index}`);
  const answers: Promise<boolean>[] = [];
  for (const name of names) {
    answers.push(questions.ask(question(name)));
    await delay(1);
  }
  await until(() => shown.length > 0);
  assert.deepEqual(shown, [names]);
  answer(true);
  assert.deepEqual(await Promise.all(answers), Array(64).fill(true));
});

test('the same key of the same name is one question; another key is another', async () => {
  const { shown, show, answer } = dialogs();
  const questions = new HostKeyQuestions(show, quick);
  const answers = [
    questions.ask(question('a')),
    questions.ask(question('a')),
    questions.ask(question('a', 'SHA256:b')),
  ];
  await until(() => shown.length > 0);
  const late = questions.ask(question('a'));
  assert.deepEqual(shown, [['a', 'a']]);
  answer(false);
  assert.deepEqual(await Promise.all([...answers, late]), [false, false, false, false]);
  await delay(60);
  assert.equal(shown.length, 1);
});

test('what comes while a dialog is up is asked after it', async () => {
  const { shown, show, answer } = dialogs();
  const questions = new HostKeyQuestions(show, quick);
  const first = questions.ask(question('a'));
  await until(() => shown.length === 1);
  const second = questions.ask(question('b'));
  const third = questions.ask(question('c'));
  await delay(60);
  assert.equal(shown.length, 1);
  answer(true);
  assert.equal(await first, true);
  await until(() => shown.length === 2);
  answer(false);
  assert.deepEqual(await Promise.all([second, third]), [false, false]);
  assert.deepEqual(shown, [['a'], ['b', 'c']]);
});

test('questions that keep coming do not hold the dialog back for ever', async () => {
  const { shown, show, answer } = dialogs();
  const questions = new HostKeyQuestions(show, quick);
  const startedAt = performance.now();
  const answers: Promise<boolean>[] = [];
  for (let index = 0; shown.length === 0; index++) {
    answers.push(questions.ask(question(`n${index}`)));
    await delay(5);
  }
  const waited = performance.now() - startedAt;
  assert.ok(waited > 100 && waited < 2_000, `${waited} ms`);
  answer(true);
  await until(() => shown.length > 1 || answers.length === shown[0]!.length);
  answer(true);
  await Promise.all(answers);
});

test('a yes holds for connections that were on their way; a no can be thought over', async () => {
  const { shown, show, answer } = dialogs();
  const questions = new HostKeyQuestions(show, quick);
  const first = questions.ask(question('a'));
  await until(() => shown.length === 1);
  answer(true);
  await first;
  assert.equal(await questions.ask(question('a')), true);
  assert.equal(shown.length, 1);

  const second = questions.ask(question('b'));
  await until(() => shown.length === 2);
  answer(false);
  assert.equal(await second, false);
  const again = questions.ask(question('b'));
  await until(() => shown.length === 3);
  answer(true);
  assert.equal(await again, true);
});

test('a dialog that fails fails its questions, and the next ones are asked', async () => {
  const { shown, show, answer, fail } = dialogs();
  const questions = new HostKeyQuestions(show, quick);
  const first = assert.rejects(questions.ask(question('a')), /no window/);
  await until(() => shown.length === 1);
  const second = questions.ask(question('b'));
  fail(new Error('no window'));
  await first;
  await until(() => shown.length === 2);
  answer(true);
  assert.equal(await second, true);
});

test('only a plain yes accepts', async () => {
  const questions = new HostKeyQuestions(() => Promise.resolve('yes' as never), quick);
  assert.equal(await questions.ask(question('a')), false);
});
