import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { defaultKeepalive, Pulse, type Keepalive } from '../../src/remote/pulse.ts';

/** A pulse in a time of its own. `run` lets time pass; a peer that answers does so 5 ms after a question. */
function pulseOf(
  t: TestContext,
  keepalive: Keepalive,
  answers: boolean,
): { readonly pulse: Pulse; readonly events: string[]; readonly run: (ms: number) => void } {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const events: string[] = [];
  const pulse = new Pulse(keepalive, {
    ask: () => {
      events.push(`asked ${now}`);
      if (answers) setTimeout(() => pulse.hear(), 5);
    },
    onDead: () => events.push(`dead ${now}`),
  });
  const run = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 5) {
      now += 5;
      t.mock.timers.tick(5);
    }
  };
  return { pulse, events, run };
}

test('R-07: by default a silent peer is dead after 45 s, and was asked twice', (t) => {
  const { pulse, events, run } = pulseOf(t, defaultKeepalive, false);
  run(7_000);
  pulse.hear();
  run(60_000);
  assert.deepEqual(events, ['asked 22000', 'asked 37000', 'dead 52000']);
});

test('R-07: ServerAliveInterval 1 and ServerAliveCountMax 3 mean 4 s', (t) => {
  const { events, run } = pulseOf(t, { intervalMs: 1_000, countMax: 3 }, false);
  run(20_000);
  assert.deepEqual(events, ['asked 1000', 'asked 2000', 'asked 3000', 'dead 4000']);
});

test('a peer that answers lives, and is asked once an interval of silence', (t) => {
  const { events, run } = pulseOf(t, { intervalMs: 1_000, countMax: 1 }, true);
  run(10_000);
  assert.equal(events.length, 9);
  assert.ok(events.every((event) => event.startsWith('asked')));
});

test('a peer that talks is not asked at all, and whatever comes late counts', (t) => {
  const { pulse, events, run } = pulseOf(t, { intervalMs: 1_000, countMax: 1 }, false);
  for (let times = 0; times < 20; times++) {
    run(500);
    pulse.hear();
  }
  assert.deepEqual(events, []);
  run(1_900);
  assert.deepEqual(events, ['asked 11000']);
  pulse.hear();
  run(1_500);
  assert.deepEqual(events, ['asked 11000', 'asked 12900']);
});

test('without an interval nothing is asked', (t) => {
  const { events, run } = pulseOf(t, { intervalMs: 0, countMax: 3 }, false);
  run(100_000);
  assert.deepEqual(events, []);
});

test('disposed, it beats no more', (t) => {
  const { pulse, events, run } = pulseOf(t, { intervalMs: 1_000, countMax: 3 }, false);
  run(1_500);
  pulse.dispose();
  run(20_000);
  assert.deepEqual(events, ['asked 1000']);
});

test('a question that cannot be sent is the end', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const causes: unknown[] = [];
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  new Pulse(
    { intervalMs: 1_000, countMax: 3 },
    {
      ask: () => {
        throw new Error('Not connected');
      },
      onDead: (cause) => causes.push(cause),
    },
  );
  now = 1_000;
  t.mock.timers.tick(1_000);
  assert.deepEqual(causes.map(String), ['Error: Not connected']);
});
