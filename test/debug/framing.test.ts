import assert from 'node:assert/strict';
import test from 'node:test';
import { Readable } from 'node:stream';
import {
  encodeMessage,
  FrameDecoder,
  maxBodyBytes,
  maxHeaderBytes,
  readMessages,
  type AdapterMessage,
} from '../../src/debug/framing.ts';

const messages: readonly AdapterMessage[] = [
  { seq: 1, type: 'request', command: 'initialize', arguments: { adapterID: 'faultline' } },
  { seq: 2, type: 'event', event: 'output', body: { output: 'é漢\u{1f40d}\n' } },
  { seq: 3, type: 'response', request_seq: 1, success: true, command: 'initialize' },
];
const frames = Buffer.concat(messages.map((message) => encodeMessage(message)));

function decode(...chunks: readonly Uint8Array[]): AdapterMessage[] {
  const decoder = new FrameDecoder();
  return chunks.flatMap((chunk) => [...decoder.push(chunk)]);
}

function frame(body: string, header = `Content-Length: ${Buffer.byteLength(body)}`): Buffer {
  return Buffer.from(`${header}\r\n\r\n${body}`);
}

test('what is encoded is decoded, in chunks of every size', () => {
  for (let size = 1; size <= frames.length; size++) {
    const chunks = [];
    for (let at = 0; at < frames.length; at += size) chunks.push(frames.subarray(at, at + size));
    assert.deepEqual(decode(...chunks), messages, `chunks of ${size}`);
  }
});

test('a frame that is cut anywhere gives nothing, and the rest completes it', () => {
  const whole = encodeMessage(messages[1]!);
  for (let at = 0; at < whole.length; at++) {
    const decoder = new FrameDecoder();
    assert.deepEqual([...decoder.push(whole.subarray(0, at))], []);
    assert.deepEqual([...decoder.push(whole.subarray(at))], [messages[1]]);
  }
});

test('a stream that ends inside a frame ends', async () => {
  const read = async (): Promise<AdapterMessage[]> => {
    const result = [];
    const stream = Readable.from([frames.subarray(0, frames.length - 1)]);
    for await (const message of readMessages(stream as AsyncIterable<Buffer>)) result.push(message);
    return result;
  };
  assert.deepEqual(await read(), messages.slice(0, 2));
});

test('other headers, their order and their case do not matter', () => {
  const body = '{"seq":1,"type":"event","event":"initialized"}';
  const headers = [
    `content-length:${body.length}`,
    `Content-Type: application/json\r\nContent-Length:   ${body.length}  `,
  ];
  for (const header of headers) assert.equal(decode(frame(body, header)).length, 1, header);
});

test('a large body is decoded, and a small one after it', () => {
  const large = encodeMessage({ ...messages[1]!, body: { output: 'x'.repeat(9 << 20) } } as never);
  const result = decode(...slices(large, 32 << 10), frames);
  assert.equal(result.length, 4);
  assert.deepEqual(result.slice(1), messages);
});

function* slices(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const event = '{"seq":1,"type":"event","event":"x"}';
const hostile: Readonly<Record<string, Buffer>> = {
  'negative length': frame(event, 'Content-Length: -1'),
  '2 GB': frame(event, 'Content-Length: 2147483648'),
  'one byte over the cap': frame(event, `Content-Length: ${maxBodyBytes + 1}`),
  'a length of 400 digits': frame(event, `Content-Length: ${'9'.repeat(400)}`),
  'a fraction': frame(event, 'Content-Length: 1.5'),
  'an exponent': frame(event, 'Content-Length: 1e3'),
  'a hexadecimal length': frame(event, 'Content-Length: 0x10'),
  'an empty length': frame(event, 'Content-Length:'),
  'a missing length': frame(event, 'Content-Type: json'),
  'an empty header': frame(event, ''),
  'two equal lengths': frame(
    event,
    `Content-Length: ${event.length}\r\nContent-Length: ${event.length}`,
  ),
  'two lengths': frame(event, `Content-Length: 3\r\ncontent-length: ${event.length}`),
  'a line that is no header': frame(event, `hello\r\nContent-Length: ${event.length}`),
  'a header without end': Buffer.alloc(maxHeaderBytes + 1, 'A'),
  'a traceback instead of frames': Buffer.from(
    'Traceback (most recent call last):\r\n  File "x"\r\n\r\nKeyError',
  ),
  'an empty body': frame(''),
  'bad JSON': frame('{"seq":1,'),
  'bytes that are not UTF-8': Buffer.concat([
    Buffer.from('Content-Length: 2\r\n\r\n'),
    Buffer.from([0xff, 0xfe]),
  ]),
  'an array': frame('[]'),
  null: frame('null'),
  'no type': frame('{"seq":1}'),
  'an unknown type': frame('{"seq":1,"type":"command"}'),
  'a request without a command': frame('{"seq":1,"type":"request"}'),
  'an event whose name is an object': frame('{"seq":1,"type":"event","event":{}}'),
  'a response to nothing': frame('{"seq":1,"type":"response","success":true,"command":"x"}'),
  'a body nested 50,000 deep': frame(
    `{"seq":1,"type":"event","event":"x","body":${'['.repeat(5e4)}${']'.repeat(5e4)}}`,
  ),
};

for (const [name, bytes] of Object.entries(hostile)) {
  test(`refused with one sentence: ${name}`, () => {
    assert.throws(() => decode(bytes), {
      name: 'UserError',
      code: 'debug.badFrame',
      message: /^The debug adapter does not speak the Debug Adapter Protocol: [^.]+\.$/,
    });
  });
}

test('an announced length alone allocates nothing', () => {
  const before = process.memoryUsage().arrayBuffers;
  const decoder = new FrameDecoder();
  assert.deepEqual([...decoder.push(Buffer.from(`Content-Length: ${maxBodyBytes}\r\n\r\n{`))], []);
  assert.ok(process.memoryUsage().arrayBuffers - before < 1 << 20);
});

test('a message cannot change what objects are', () => {
  const [message] = decode(
    frame('{"seq":1,"type":"event","event":"x","__proto__":{"polluted":1}}'),
  );
  assert.equal(message?.type, 'event');
  assert.equal(Reflect.get({}, 'polluted'), undefined);
});
