import assert from 'node:assert/strict';
import test from 'node:test';
import {
  abortable,
  delay,
  mapBounded,
  Semaphore,
  throttle,
  withDeadline,
} from '../../src/base/async.ts';
import { UserError } from '../../src/base/errors.ts';

test('mapBounded keeps the order, runs no more than the limit, and goes on after a failure', async () => {
  let running = 0;
  let most = 0;
  const results = await mapBounded([30, 5, 10, 1], 2, async (ms) => {
    most = Math.max(most, ++running);
    await delay(ms);
    running--;
    if (ms === 5) throw new Error('five');
    return ms;
  });
  assert.equal(most, 2);
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed')),
    [30, 'failed', 10, 1],
  );
});

test('a deadline rejects with the given error and frees what is held', async () => {
  let freed = false;
  const never = new Promise<never>(() => undefined);
  await assert.rejects(
    withDeadline(
      never,
      5,
      () => new UserError('x.late', 'Late.'),
      () => (freed = true),
    ),
    { code: 'x.late' },
  );
  assert.ok(freed);
  assert.equal(await withDeadline(Promise.resolve(1), 5, () => new UserError('x', 'x')), 1);
});

test('an aborted wait rejects at once', async () => {
  const controller = new AbortController();
  const waiting = delay(10_000, controller.signal);
  controller.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
  await assert.rejects(abortable(new Promise(() => undefined), controller.signal), {
    name: 'AbortError',
  });
});

test('a semaphore hands places on in order; one who gives up is passed over', async () => {
  const places = new Semaphore(1);
  const release = await places.acquire();
  const controller = new AbortController();
  const order: string[] = [];
  const first = places.acquire(controller.signal);
  const second = places.acquire().then((free) => {
    order.push('second');
    free();
  });
  controller.abort();
  await assert.rejects(first, { name: 'AbortError' });
  release();
  release();
  await second;
  const again = await places.acquire();
  const third = places.acquire().then(() => order.push('third'));
  assert.deepEqual(order, ['second']);
  again();
  await third;
});

test('a throttled action runs once for a burst', async () => {
  let count = 0;
  const action = throttle(() => count++, 5);
  for (let i = 0; i < 10; i++) action();
  await delay(20);
  assert.equal(count, 1);
  action();
  action.dispose();
  await delay(20);
  assert.equal(count, 1);
});
