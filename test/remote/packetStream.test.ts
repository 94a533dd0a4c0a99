import assert from 'node:assert/strict';
import { Duplex, PassThrough } from 'node:stream';
import test from 'node:test';
import { FieldReader, PacketStream, string, uint32 } from '../../src/remote/packetStream.ts';

const packets = [Buffer.from('one'), Buffer.alloc(0), Buffer.alloc(70_000, 7), Buffer.from('last')];
const wire = Buffer.concat(packets.flatMap((packet) => [uint32(packet.length), packet]));

for (const size of [1, 2, 3, 5, 4096, 65_536, wire.length]) {
  test(`packets arrive whole in chunks of ${size}`, async () => {
    const stream = new PassThrough();
    const came: Buffer[] = [];
    const ended = new Promise<Error | undefined>((resolve) => {
      new PacketStream(stream, (packet) => came.push(Buffer.from(packet)), resolve);
    });
    for (let at = 0; at < wire.length; at += size) stream.write(wire.subarray(at, at + size));
    stream.end();
    assert.equal(await ended, undefined);
    assert.deepEqual(came, packets);
  });
}

test('a packet that claims to be huge ends the stream, with the reason', async () => {
  const stream = new PassThrough();
  const ended = new Promise<Error | undefined>((resolve) => {
    new PacketStream(stream, () => assert.fail('there is none'), resolve);
  });
  stream.write(uint32(0xffff_ffff));
  assert.match((await ended)?.message ?? '', /4294967295 bytes/);
});

test('what is sent has its length before it; on a stream that is gone it is dropped', () => {
  const written: Buffer[] = [];
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk);
      done();
    },
  });
  const sender = new PacketStream(
    stream,
    () => undefined,
    () => undefined,
  );
  sender.send(Buffer.from('hi'));
  assert.deepEqual(Buffer.concat(written), Buffer.from('\0\0\0\u0002hi'));
  stream.destroy();
  let isDone = false;
  sender.send(Buffer.from('late'), () => (isDone = true));
  assert.ok(isDone);
});

test('fields are read in their order, and never past the end', () => {
  const reader = new FieldReader(Buffer.concat([Buffer.of(9), uint32(7), string('é')]));
  assert.deepEqual([reader.byte(), reader.uint32(), reader.text()], [9, 7, 'é']);
  assert.throws(() => reader.byte(), /too short/);
  assert.throws(() => new FieldReader(uint32(100)).string(), /too short/);
});
