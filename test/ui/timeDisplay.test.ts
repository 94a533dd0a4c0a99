import assert from 'node:assert/strict';
import test, { beforeEach } from 'node:test';
import '../fakes/useVscode.ts';
import { fake } from '../fakes/vscode.ts';

const { TimeZoneSwitch } = await import('../../src/ui/timeDisplay.ts');

beforeEach(() => fake.reset());

const zones = (node: string) =>
  node === 'far' ? { offsetMinutes: 345, name: 'Asia/Kathmandu' } : undefined;
const noon = Date.UTC(2026, 10, 22, 12);

test('times are local until somebody chooses, and never without their zone', () => {
  const times = new TimeZoneSwitch(zones);
  assert.equal(times.display, 'local');
  assert.match(times.format(noon), /[+-]\d\d:\d\d$/);
  fake.set('faultline.time.display', 'mars');
  assert.equal(times.display, 'local');
  times.dispose();
});

test('the choice is written to the settings, and told once', async () => {
  const times = new TimeZoneSwitch(zones);
  const told: string[] = [];
  times.onDidChange((display) => told.push(display));
  fake.pick = (labels) => labels.find((label) => label.startsWith('Each node'));
  await times.commands()['switchTimeDisplay']!();
  assert.equal(fake.settings.get('faultline.time.display'), 'node');
  assert.deepEqual(told, ['node']);
  fake.set('faultline.other', 1);
  assert.deepEqual(told, ['node']);
  assert.equal(times.format(noon, 'far'), '2026-11-22 17:45:00.000+05:45');
  assert.equal(times.format(noon, 'unknown'), '2026-11-22 12:00:00.000Z');
  times.dispose();
});

test('a short time is the time of day today, and the date before', () => {
  fake.set('faultline.time.display', 'utc');
  const times = new TimeZoneSwitch(zones);
  assert.match(times.formatShort(Date.now()), /^\d\d:\d\d:\d\dZ$/);
  assert.equal(times.formatShort(Date.UTC(2020, 0, 2, 3)), '2020-01-02');
  times.dispose();
});
