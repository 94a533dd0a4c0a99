import assert from 'node:assert/strict';
import test from 'node:test';
import { DisposableStore, MutableDisposable, toDisposable } from '../../src/base/disposable.ts';
import { Emitter } from '../../src/base/emitter.ts';

test('a store disposes of its items once, last first, and of late ones at once', () => {
  const order: string[] = [];
  const item = (name: string) => toDisposable(() => order.push(name));
  const store = new DisposableStore();
  store.add(item('a'));
  store.add(item('b'));
  store.dispose();
  store.dispose();
  store.add(item('late'));
  assert.deepEqual(order, ['b', 'a', 'late']);
});

test('one item that fails does not keep the others', () => {
  const order: string[] = [];
  const store = new DisposableStore();
  store.add(toDisposable(() => order.push('a')));
  store.add(
    toDisposable(() => {
      throw new Error('b');
    }),
  );
  assert.throws(() => store.dispose(), { message: 'b' });
  assert.deepEqual(order, ['a']);
});

test('a replaced value is disposed of, and so is one set too late', () => {
  const order: string[] = [];
  const holder = new MutableDisposable();
  holder.value = toDisposable(() => order.push('first'));
  holder.value = toDisposable(() => order.push('second'));
  assert.deepEqual(order, ['first']);
  holder.dispose();
  holder.value = toDisposable(() => order.push('late'));
  assert.deepEqual(order, ['first', 'second', 'late']);
});

test('every listener hears an event, also when one throws; a disposed one hears nothing', () => {
  const heard: string[] = [];
  const emitter = new Emitter<string>();
  emitter.event(() => {
    throw new Error('mine');
  });
  const second = emitter.event((value) => heard.push(value));
  assert.throws(() => emitter.fire('x'), { message: 'mine' });
  second.dispose();
  assert.throws(() => emitter.fire('y'), { message: 'mine' });
  assert.deepEqual(heard, ['x']);
});
