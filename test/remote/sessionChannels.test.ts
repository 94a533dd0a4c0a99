// Sessions against a node made of packets: what a hostile or sloppy one may send (RFC 4254).

import assert from 'node:assert/strict';
import test from 'node:test';
import type { UserError } from '../../src/base/errors.ts';
import type { Channel } from '../../src/remote/connection.ts';
import { FieldReader, string, uint32 } from '../../src/remote/packetStream.ts';
import { SessionChannels } from '../../src/remote/sessionChannels.ts';

const remoteId = 77;

class FakeNode {
  readonly sent: Buffer[] = [];
  readonly misdeeds: UserError[] = [];
  readonly channels = new SessionChannels({
    node: 'node',
    send: (packet, done) => {
      this.sent.push(packet);
      done?.();
    },
    onMisbehaving: (error) => this.misdeeds.push(error),
  });

  say(type: number, ...fields: readonly Buffer[]): void {
    this.channels.accept(Buffer.concat([Buffer.of(type), ...fields]));
  }

  confirm(id = 0, window = 1 << 20): void {
    this.say(91, uint32(id, remoteId, window, 32_768));
  }

  /** The types of what we sent. */
  get types(): number[] {
    return this.sent.map((packet) => packet[0]!);
  }

  /** A channel with a running program. */
  async open(window?: number): Promise<Channel> {
    const opening = this.channels.open({ command: 'cat' });
    this.confirm(0, window);
    await new Promise((resolve) => setImmediate(resolve));
    this.say(99, uint32(0));
    const channel = await opening;
    this.sent.length = 0;
    return channel;
  }
}

const text = (value: string): Buffer => string(value);

test('a session is opened, asked to run a command, and closed once', async () => {
  const node = new FakeNode();
  const opening = node.channels.open({ command: 'true', terminal: { columns: 80, rows: 24 } });
  assert.deepEqual(node.types, [90]);
  node.confirm();
  await new Promise((resolve) => setImmediate(resolve));
  const requests = node.sent.slice(1).map((packet) => {
    const fields = new FieldReader(packet, 5);
    return [packet.readUInt32BE(1), fields.text(), fields.byte()];
  });
  assert.deepEqual(requests, [
    [remoteId, 'pty-req', 1],
    [remoteId, 'exec', 1],
  ]);
  node.say(99, uint32(0));
  node.say(99, uint32(0));
  const channel = await opening;
  node.sent.length = 0;
  channel.dispose();
  channel.dispose();
  node.say(97, uint32(0));
  await channel.closed;
  channel.resize({ columns: 1, rows: 1 });
  assert.deepEqual(node.types, [97]);
});

test('no more is sent than the node has room for, and the rest when it has', async () => {
  const node = new FakeNode();
  const channel = await node.open(10);
  channel.stdin.end('0123456789abcdef');
  await new Promise((resolve) => setImmediate(resolve));
  const data = (): string =>
    node.sent
      .filter((packet) => packet[0] === 94)
      .map((packet) => new FieldReader(packet, 5).text())
      .join('|');
  assert.equal(data(), '0123456789');
  node.say(93, uint32(0, 4));
  assert.equal(data(), '0123456789|abcd');
  assert.deepEqual(node.types, [94, 94]);
  node.say(93, uint32(0, 0xffff_ffff));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(data(), '0123456789|abcd|ef');
  assert.equal(node.types.at(-1), 96);
});

test('room is granted for what was read, and for nothing else', async () => {
  const node = new FakeNode();
  const channel = await node.open();
  const chunk = Buffer.alloc(32 << 10);
  for (let sent = 0; sent < 2 << 20; sent += chunk.length) node.say(94, uint32(0), string(chunk));
  assert.deepEqual(node.types, []);
  assert.ok(channel.stdout.readableLength <= 128 << 10);
  channel.stdout.resume();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const granted = node.sent
    .filter((packet) => packet[0] === 93)
    .reduce((sum, packet) => sum + packet.readUInt32BE(5), 0);
  assert.equal(granted, 2 << 20);
  assert.deepEqual(node.misdeeds, []);
});

for (const type of [94, 95]) {
  test(`a node that sends past its room is found out (message ${type})`, async () => {
    const node = new FakeNode();
    await node.open();
    const chunk = string(Buffer.alloc(32 << 10));
    const data = type === 94 ? [uint32(0), chunk] : [uint32(0, 1), chunk];
    for (let packets = 0; packets < 66; packets++) node.say(type, ...data);
    assert.equal(node.misdeeds.length, 0);
    node.say(type, ...data);
    assert.equal(node.misdeeds[0]?.code, 'node.misbehaving');
  });
}

test('packets that are cut short are misbehaviour, at every length', async () => {
  const packets: Buffer[][] = [
    [uint32(0), text('data')],
    [uint32(0, 1), text('data')],
    [uint32(0), text('exit-status'), Buffer.of(0), uint32(1)],
    [uint32(0), text('exit-signal'), Buffer.of(0), text('KILL')],
  ];
  for (const [index, type] of [94, 95, 98, 98].entries()) {
    const whole = Buffer.concat(packets[index]!);
    for (let length = 0; length < whole.length; length++) {
      const node = new FakeNode();
      await node.open();
      node.say(type, whole.subarray(0, length));
      assert.equal(node.misdeeds[0]?.code, 'node.misbehaving', `${type}: ${length}`);
    }
  }
});

test('the end of a program is told once, in whatever order the node tells it', async () => {
  const code = (value: number): Buffer[] => [
    uint32(0),
    text('exit-status'),
    Buffer.of(0),
    uint32(value),
  ];
  const signal = (name: string): Buffer[] => [
    uint32(0),
    text('exit-signal'),
    Buffer.of(0),
    text(name),
    Buffer.of(0),
    text(''),
    text(''),
  ];
  const first = new FakeNode();
  const one = await first.open();
  first.say(98, ...code(3));
  first.say(98, ...code(4));
  first.say(97, uint32(0));
  assert.deepEqual(await one.exited, { exitCode: 3, signal: undefined });

  const second = new FakeNode();
  const two = await second.open();
  second.say(97, uint32(0));
  second.say(98, ...code(0));
  assert.deepEqual(await two.exited, { exitCode: undefined, signal: undefined });

  const third = new FakeNode();
  const three = await third.open();
  third.say(98, ...signal('TERM\u001b[2J'));
  assert.deepEqual(await three.exited, { exitCode: undefined, signal: 'SIGTERM‹ESC›[2J' });
});

test('output after the end of the program and before the close is kept', async () => {
  const node = new FakeNode();
  const channel = await node.open();
  node.say(94, uint32(0), text('before '));
  node.say(98, uint32(0), text('exit-status'), Buffer.of(0), uint32(0));
  node.say(94, uint32(0), text('after'));
  node.say(97, uint32(0));
  node.say(94, uint32(0), text(' too late'));
  const chunks: Buffer[] = [];
  for await (const chunk of channel.stdout) chunks.push(chunk as Buffer);
  assert.equal(Buffer.concat(chunks).toString(), 'before after');
});

test('a refused session, a refused command, and a close in between', async () => {
  const limit = new FakeNode();
  const opening = limit.channels.open({ command: 'x' });
  limit.say(92, uint32(0, 2), text('open \u001b failed'), text(''));
  await assert.rejects(opening, { code: 'node.sessionLimit' });

  const refusal = new FakeNode();
  const asking = refusal.channels.open({ command: 'x' });
  refusal.confirm();
  await new Promise((resolve) => setImmediate(resolve));
  refusal.say(100, uint32(0));
  await assert.rejects(asking, { code: 'node.channelRefused' });
  assert.equal(refusal.types.at(-1), 97);

  const closing = new FakeNode();
  const cut = closing.channels.open({ command: 'x' });
  closing.confirm();
  await new Promise((resolve) => setImmediate(resolve));
  closing.say(97, uint32(0));
  await assert.rejects(cut, { code: 'node.channelRefused' });
});

test('words about channels that do not exist are passed over; requests for us are refused', async () => {
  const node = new FakeNode();
  await node.open();
  for (const type of [91, 92, 93, 94, 95, 96, 97, 98, 99, 100])
    node.say(type, uint32(999, 1, 2, 3));
  for (let times = 0; times < 1000; times++) node.say(99, uint32(0));
  assert.deepEqual(node.misdeeds, []);
  node.say(98, uint32(0), text('surprise@node'), Buffer.of(1));
  assert.deepEqual(node.types, [100]);
});

test('a sign of life: a request on a channel there is, or a session that is opened and closed', async () => {
  const idle = new FakeNode();
  const first = idle.channels.ping();
  assert.deepEqual(idle.types, [90]);
  idle.confirm();
  await first;
  assert.deepEqual(idle.types, [90, 97]);

  const full = new FakeNode();
  const second = full.channels.ping();
  full.say(92, uint32(0, 2), text('open failed'), text(''));
  await second;

  const busy = new FakeNode();
  await busy.open();
  const third = busy.channels.ping();
  assert.deepEqual(busy.types, [98]);
  busy.say(100, uint32(0));
  await third;

  const dead = new FakeNode();
  await dead.open();
  const fourth = dead.channels.ping();
  dead.channels.close(undefined);
  await assert.rejects(fourth, { code: 'node.connectionLost' });
  await assert.rejects(dead.channels.ping(), { code: 'node.connectionLost' });
});

test('a lost connection ends everything that waits', async () => {
  const node = new FakeNode();
  const channel = await node.open(4);
  const opening = node.channels.open({ command: 'x' });
  const refused = assert.rejects(opening, { code: 'node.connectionLost' });
  channel.stdin.write('more than there is room for');
  node.channels.close(undefined);
  await refused;
  await channel.closed;
  assert.deepEqual(await channel.exited, { exitCode: undefined, signal: undefined });
  for await (const chunk of channel.stdout) assert.fail(String(chunk));
  await assert.rejects(node.channels.open({ command: 'x' }), { code: 'node.connectionLost' });
});
