// What a broken or hostile server may send (reliability.md B-001 to B-018): one sentence, no crash, no hang, and
// another node's connection that never notices.

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Connection as ServerConnection, ServerChannel } from 'ssh2';
import { UserError } from '../../src/base/errors.ts';
import type { Connection } from '../../src/remote/connection.ts';
import { ConnectionReport, formatReport } from '../../src/remote/connectionReport.ts';
import { knownHostsLine } from '../../src/remote/knownHosts.ts';
import { LoginGate } from '../../src/remote/loginGate.ts';
import { PooledShell } from '../../src/remote/pooledShell.ts';
import { createSsh2Transport, type Ssh2Deadlines } from '../../src/remote/ssh2Connection.ts';
import type { SshTarget } from '../../src/remote/sshConfig.ts';
import { ChaosProxy } from '../fakes/chaosProxy.ts';
import { eventually } from '../fakes/eventually.ts';
import { FakeSshServer, makeHostKey, type FakeSshServerOptions } from '../fakes/fakeSshServer.ts';
import { message, protocolOf, rawServer, sendMessage } from '../fakes/rawSsh.ts';
import { startSshd } from '../fakes/sshd.ts';
import { sshTarget } from '../fakes/sshTarget.ts';
import { temporaryFolder, type TemporaryFolder } from '../fakes/temporaryFolder.ts';
import { run } from './transportSuite.ts';

const hostKey = makeHostKey();
let folder: TemporaryFolder;
/** Of another node, that is well all the time. */
let neighbour: { readonly server: FakeSshServer; readonly connection: Connection };

before(async () => {
  folder = await temporaryFolder();
  const server = await FakeSshServer.start({ hostKeys: [hostKey] });
  neighbour = { server, connection: await connectTo(server.port) };
});
after(async () => {
  neighbour.connection.dispose();
  await neighbour.server.stop();
  await folder[Symbol.asyncDispose]();
});
afterEach(async () => {
  assert.equal((await run(neighbour.connection, 'echo well')).stdout.toString(), 'well\n');
});

interface ConnectTestOptions {
  readonly deadlines?: Partial<Ssh2Deadlines>;
  readonly target?: Partial<SshTarget>;
  readonly report?: ConnectionReport;
}

/** To a server on this machine that shows the one host key of these tests. */
async function connectTo(port: number, options: ConnectTestOptions = {}): Promise<Connection> {
  const file = join(folder.path, `known_hosts-${port}`);
  await writeFile(file, knownHostsLine(`[127.0.0.1]:${port}`, hostKey.blob));
  return createSsh2Transport(options.deadlines)({
    node: 'node',
    target: sshTarget({ alias: 'node', port, userKnownHostsFiles: [file], ...options.target }),
    resolve: () => Promise.reject(new Error('there are no jump hosts')),
    prompts: {},
    acceptedHostKeys: new Set(),
    gate: new LoginGate(),
    report: options.report ?? new ConnectionReport(),
  });
}

/** The UserError that connecting ends with, and how long that took. */
async function failureOf(
  port: number,
  options: ConnectTestOptions = {},
): Promise<{ readonly error: UserError; readonly ms: number }> {
  const startedAt = performance.now();
  const error = await connectTo(port, options).then(
    () => assert.fail('it connected'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof UserError, String(error));
  assert.match(error.message, /^node [^\n\u001b]{5,400}\.$/);
  assert.ok(error.hint !== undefined);
  return { error, ms: performance.now() - startedAt };
}

async function fakeNode(
  options: Omit<FakeSshServerOptions, 'hostKeys'> = {},
): Promise<FakeSshServer & AsyncDisposable> {
  const server = await FakeSshServer.start({ hostKeys: [hostKey], ...options });
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.stop() });
}

function closedReason(connection: Connection): Promise<Error | undefined> {
  return new Promise((resolve) => connection.onDidClose(resolve));
}

const ident = 'SSH-2.0-OpenSSH_9.2p1\r\n';

describe('before the login', () => {
  test('B-003: a server that accepts and says nothing', async () => {
    await using server = await rawServer(() => undefined);
    const { error, ms } = await failureOf(server.port, { deadlines: { handshakeMs: 300 } });
    assert.equal(error.code, 'node.handshakeTimeout');
    assert.ok(ms < 1_300, String(ms));
    await eventually(() => assert.equal(server.sockets.size, 0));
  });

  test('B-003: an address that swallows every packet is given up by ConnectTimeout', async () => {
    // 192.0.2.0/24 is for documentation: either nothing answers, or there is no way there.
    const startedAt = performance.now();
    await assert.rejects(connectTo(22, { target: { host: '192.0.2.1', connectTimeoutMs: 300 } }), {
      code: /^node\.(noAnswer|noRoute|unreachable|refused|connectionLost)$/,
    });
    assert.ok(performance.now() - startedAt < 1_500);
  });

  /** What is sent at once, with the socket left open after. */
  const greetings: readonly {
    readonly title: string;
    readonly bytes: Buffer | string;
    readonly code: string;
    readonly words: RegExp;
  }[] = [
    {
      title: 'B-004: 100,000 short lines',
      bytes: 'hello\r\n'.repeat(1e5),
      code: 'node.notSsh',
      words: /hello/,
    },
    {
      title: 'B-004: a line without end',
      bytes: 'x'.repeat(1e6),
      code: 'node.notSsh',
      words: /xxx…/,
    },
    {
      title: 'B-005: a greeting that would write the clipboard',
      bytes: '\u001b]52;c;aGk=\u0007\u001b[2J\u202e\r\n'.repeat(1e4),
      code: 'node.notSsh',
      words: /‹ESC›\]52;c;aGk=‹BEL›‹ESC›\[2J/,
    },
    {
      title: 'B-006: a packet of 4 GiB',
      bytes: `${ident}\u00ff\u00ff\u00ff\u00ff${'x'.repeat(60)}`,
      code: 'node.garbled',
      words: /Bad packet length/,
    },
    {
      title: 'B-006: a packet of no bytes',
      bytes: `${ident}${'\0'.repeat(64)}`,
      code: 'node.garbled',
      words: /Bad packet length/,
    },
    {
      title: 'B-006: a first packet that is no offer',
      bytes: Buffer.concat([Buffer.from(ident), plain(message(21))]),
      code: 'node.garbled',
      words: /valid SSH/,
    },
    {
      title: 'B-007: a web server',
      bytes: 'HTTP/1.1 400 Bad Request\r\n\r\n',
      code: 'node.notSsh',
      words: /web server/,
    },
    {
      title: 'B-007: a mail server that waits for us',
      bytes: '220 mail.example ESMTP\r\n',
      code: 'node.notSsh',
      words: /220 mail/,
    },
    {
      title: 'B-007: a TLS server',
      bytes: Buffer.from('15030100020246', 'hex'),
      code: 'node.notSsh',
      words: /TLS server/,
    },
    {
      title: 'P-25: MaxStartups',
      bytes: 'Exceeded MaxStartups\r\n',
      code: 'node.closed',
      words: /lets nobody in for now/,
    },
    {
      title: 'R-11: PerSourcePenalties of OpenSSH 9.8',
      bytes: 'Not allowed at this time\r\n',
      code: 'node.closed',
      words: /it says: Not allowed at this time/,
    },
    {
      title: 'B-007: SSH 1.5',
      bytes: 'SSH-1.5-OpenSSH_1.2\n',
      code: 'node.notSsh',
      words: /version 1/,
    },
    {
      title: 'B-011: a farewell of 30 KiB',
      bytes: Buffer.concat([
        Buffer.from(ident),
        plain(message(1, 2, `go away \u001b[2J${'x'.repeat(30_000)}`, '')),
      ]),
      code: 'node.turnedAway',
      words: /go away ‹ESC›\[2Jx+…/,
    },
    {
      title: 'B-011: a farewell of 64 KiB',
      bytes: Buffer.concat([Buffer.from(ident), plain(message(1, 2, 'x'.repeat(65_000), ''))]),
      code: 'node.garbled',
      words: /packet length/,
    },
  ];
  for (const { title, bytes, code, words } of greetings) {
    for (const end of ['open', 'closed'] as const) {
      test(`${title}, the connection ${end}`, async () => {
        await using server = await rawServer((socket) => {
          const data = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
          // Escapes beyond Latin-1 as the UTF-8 they would be sent in.
          socket.write(typeof bytes === 'string' && /[\u0100-\uffff]/.test(bytes) ? bytes : data);
          if (end === 'closed') socket.end();
        });
        const { error, ms } = await failureOf(server.port, { deadlines: { handshakeMs: 500 } });
        assert.equal(error.code, code, error.message);
        assert.match(error.message, words);
        assert.ok(ms < 1_000, String(ms));
        await eventually(() => assert.equal(server.sockets.size, 0), 1_000);
      });
    }
  }

  for (const length of [16, 1_000, 100_000]) {
    test(`B-007: ${length} random bytes after the version`, async () => {
      await using server = await rawServer((socket) => {
        // A first length that no packet has, as nearly all random ones are.
        socket.write(Buffer.concat([Buffer.from(ident), Buffer.of(0x80), randomBytes(length)]));
      });
      const { error, ms } = await failureOf(server.port, { deadlines: { handshakeMs: 500 } });
      assert.equal(error.code, 'node.garbled');
      assert.ok(ms < 1_000, String(ms));
      await eventually(() => assert.equal(server.sockets.size, 0), 1_000);
    });
  }

  test('bytes without end before the login, each packet valid', async () => {
    await using server = await rawServer((socket) => {
      socket.write(ident);
      const ignored = plain(message(2, 'x'.repeat(30_000)));
      const more = (): void => {
        while (!socket.destroyed && socket.write(ignored));
      };
      socket.on('drain', more);
      more();
    });
    const { error } = await failureOf(server.port, { deadlines: { handshakeMs: 3_000 } });
    assert.match(error.code, /^node\.(misbehaving|garbled)$/);
  });

  test('B-005: a banner of 1 MB with escapes is 2 KiB of visible text', async () => {
    const text = `\u001b]52;c;aGk=\u0007\u202ebanner${' x'.repeat(12_000)}`;
    await using server = await fakeNode({
      acceptsLogin: (context) => {
        for (const connection of server.connections) {
          for (let sent = 0; sent < 40; sent++) sendMessage(connection, message(53, text, ''));
        }
        context.accept();
      },
    });
    const report = new ConnectionReport();
    const connection = await connectTo(server.port, { report });
    const shown = formatReport('node', report);
    assert.ok(shown.includes('‹ESC›]52;c;aGk=‹BEL›‹U+202E›banner'), shown);
    assert.ok(Buffer.byteLength(shown) < 4_096, String(shown.length));
    const banners = shown.split('\n').filter((line) => line.includes('The node says'));
    assert.ok(Buffer.byteLength(banners.join('\n')) <= 2_048);
    assert.doesNotMatch(shown, /[\u001b\u0007\u202e]/);
    connection.dispose();
  });

  for (const compress of ['zlib@openssh.com', 'zlib'] as const) {
    test(`B-002, R-24: a server that insists on ${compress}`, async () => {
      await using server = await fakeNode({ algorithms: { compress: [compress] } });
      const { error, ms } = await failureOf(server.port);
      assert.equal(error.code, 'node.noCommonAlgorithm');
      assert.match(error.message, /share no compression/);
      assert.ok(ms < 1_000, String(ms));
      assert.deepEqual(server.loginRequests, []);
    });
  }

  const outdated = [
    { cipher: ['aes128-cbc'] },
    { hmac: ['hmac-sha1'], cipher: ['aes128-ctr'] },
    { kex: ['diffie-hellman-group14-sha1'] },
  ] as const;
  for (const algorithms of outdated) {
    test(`R-09: a server with nothing but ${JSON.stringify(algorithms)}`, async () => {
      await using server = await fakeNode({
        algorithms: algorithms as unknown as NonNullable<FakeSshServerOptions['algorithms']>,
      });
      const { error } = await failureOf(server.port);
      assert.equal(error.code, 'node.noCommonAlgorithm');
      assert.match(error.message, /share no (cipher|MAC|key exchange algorithm)\.$/);
      assert.deepEqual(server.loginRequests, []);
    });
  }

  test('B-010: a handshake of one byte a second', async () => {
    await using server = await fakeNode();
    const proxy = await ChaosProxy.start(server.port);
    proxy.chaos = { bytesPerSecond: 1 };
    const { error, ms } = await failureOf(proxy.port, { deadlines: { handshakeMs: 400 } });
    assert.match(error.code, /^node\.(handshakeTimeout|notSsh)$/);
    assert.ok(ms < 1_400, String(ms));
    await proxy.stop();
  });

  test('B-008: a reset at 24 points of the handshake and the login', async (t) => {
    await using server = await fakeNode();
    const proxy = await ChaosProxy.start(server.port);
    (await connectTo(proxy.port)).dispose();
    const whole = proxy.delivered;
    const codes = new Map<string, number>();
    for (let point = 0; point < 24; point++) {
      proxy.chaos = { resetAt: Math.floor((whole * point) / 24) };
      const { error, ms } = await failureOf(proxy.port, { deadlines: { handshakeMs: 2_000 } });
      codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
      assert.ok(ms < 1_000, `${point}: ${ms}`);
    }
    t.diagnostic(`${whole} bytes: ${JSON.stringify(Object.fromEntries(codes))}`);
    // All of them pass by themselves: none tells of a refused login.
    assert.deepEqual([...codes.keys()].sort(), ['node.closed']);
    await proxy.stop();
    await eventually(() => assert.equal(server.sockets.size, 0));
  });
});

describe('after the login', () => {
  test('B-001, R-24, T-01: 600 MB beyond the window', async (t) => {
    const server = await startFlood();
    try {
      const connection = await connectTo(server.port);
      const closed = closedReason(connection);
      // Nobody reads from it, so the window is not renewed.
      const channel = await connection.openChannel({ command: 'flood' });
      const before = process.memoryUsage().rss;
      let peak = before;
      const sampler = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 5);
      const startedAt = performance.now();
      const reason = (await closed) as UserError;
      const ms = performance.now() - startedAt;
      await new Promise((resolve) => setTimeout(resolve, 100));
      clearInterval(sampler);
      assert.equal(reason.code, 'node.misbehaving');
      assert.ok(ms < 1_000, String(ms));
      const grown = (peak - before) / 2 ** 20;
      t.diagnostic(`cut after ${ms.toFixed(0)} ms, RSS +${grown.toFixed(1)} MiB`);
      assert.ok(grown <= 32, `${grown} MiB`);
      await assert.rejects(connection.openChannel({ command: 'x' }), {
        code: 'node.connectionLost',
      });
      channel.dispose();
    } finally {
      server.child.kill();
    }
  });

  test('T-01: questions without end whose answers are not read', async (t) => {
    await using server = await fakeNode({
      onExec: (channel) => {
        const question = message(80, 'keepalive@openssh.com', true);
        const peer = connectionOf(server, channel);
        let asked = 0;
        const more = (): void => {
          for (let times = 0; times < 1_000; times++) sendMessage(peer, question);
          asked += 1_000;
          if (asked < 100_000 && server.connections.size > 0) setImmediate(more);
        };
        more();
      },
    });
    // A pipe holds little; the buffers of a TCP connection would hide the trouble for a while.
    const lazy = `
      const socket = require('net').connect(${server.port});
      let read = 0;
      socket.pipe(process.stdout);
      process.stdin.on('data', (bytes) => {
        socket.write(bytes);
        read += bytes.length;
        if (read > 20_000) process.stdin.pause();
      });`;
    const proxyCommand = `${process.execPath} -e "${lazy.replaceAll('\n', ' ')}"`;
    const connection = await connectTo(server.port, { target: { proxyCommand } });
    const closed = closedReason(connection);
    const startedAt = performance.now();
    await connection.openChannel({ command: 'ask' });
    assert.equal(((await closed) as UserError).code, 'node.misbehaving');
    t.diagnostic(`cut after ${(performance.now() - startedAt).toFixed(0)} ms`);
  });

  test('B-009: the opening of a channel that is never answered', async () => {
    const sshd = await startSshd();
    try {
      const connection = await connectTo(sshd.port, {
        deadlines: { channelMs: 300 },
        target: await loginOf(sshd),
      });
      const closed = closedReason(connection);
      const pid = Number((await run(connection, 'echo $PPID')).stdout.toString());
      process.kill(pid, 'SIGSTOP');
      const startedAt = performance.now();
      try {
        await assert.rejects(connection.openChannel({ command: 'true' }), {
          code: 'node.connectionLost',
        });
        assert.equal(((await closed) as UserError).code, 'node.connectionLost');
        assert.ok(performance.now() - startedAt < 1_300);
      } finally {
        process.kill(pid, 'SIGKILL');
      }
    } finally {
      await sshd.stop();
    }
  });

  /** What the server sends on a channel, in order; how the program has ended then. */
  const ends: readonly {
    readonly order: readonly (keyof typeof steps)[];
    readonly exit: readonly [code: number | undefined, signal: string | undefined];
    readonly text?: string;
  }[] = [
    { order: ['close'], exit: [undefined, undefined] },
    { order: ['eof', 'close'], exit: [undefined, undefined] },
    { order: ['data', 'close'], exit: [undefined, undefined], text: 'data' },
    { order: ['exit 0', 'close'], exit: [0, undefined] },
    { order: ['exit 0', 'eof', 'data', 'close'], exit: [0, undefined] },
    { order: ['close', 'exit 0'], exit: [undefined, undefined] },
    { order: ['eof', 'exit 3', 'close', 'close', 'eof'], exit: [3, undefined] },
    { order: ['exit 3', 'exit 0', 'signal KILL', 'close'], exit: [3, undefined] },
    { order: ['exit 4 GiB', 'close'], exit: [0xffffffff, undefined] },
    { order: ['signal KILL', 'exit 0', 'close'], exit: [undefined, 'SIGKILL'] },
    { order: ['signal junk', 'close'], exit: [undefined, 'SIG‹ESC›]0;x‹BEL›yyyyyy…'] },
    { order: ['data', 'eof', 'exit 7', 'data', 'close'], exit: [7, undefined], text: 'data' },
  ];
  const steps = {
    data: (protocol, id) => protocol.channelData(id, Buffer.from('data')),
    eof: (protocol, id) => protocol.channelEOF(id),
    close: (protocol, id) => protocol.channelClose(id),
    'exit 0': (protocol, id) => protocol.exitStatus(id, 0),
    'exit 3': (protocol, id) => protocol.exitStatus(id, 3),
    'exit 7': (protocol, id) => protocol.exitStatus(id, 7),
    'exit 4 GiB': (protocol, id) => protocol.exitStatus(id, 0xffffffff),
    'signal KILL': (protocol, id) => protocol.exitSignal(id, 'KILL', false, ''),
    'signal junk': (_protocol, id, connection) =>
      sendMessage(
        connection,
        message(98, id, 'exit-signal', false, `\u001b]0;x\u0007${'y'.repeat(100)}`, true, 'x', ''),
      ),
  } satisfies Record<
    string,
    (protocol: ReturnType<typeof protocolOf>, id: number, connection: ServerConnection) => void
  >;
  for (const { order, exit, text } of ends) {
    test(`B-012: ${order.join(', ')}`, async () => {
      await using server = await fakeNode({
        onExec: (channel) => {
          const id = (channel as unknown as { outgoing: { id: number } }).outgoing.id;
          const peer = connectionOf(server, channel);
          for (const step of order) steps[step](protocolOf(peer), id, peer);
        },
      });
      const connection = await connectTo(server.port);
      const end = await run(connection, 'x');
      assert.deepEqual([end.exitCode, end.signal], exit);
      if (text !== undefined) assert.equal(end.stdout.toString(), text);
      // The connection itself has come to no harm.
      await connection.ping(2_000);
      assert.deepEqual((await run(connection, 'x')).exitCode, exit[0]);
      connection.dispose();
    });
  }

  test('B-012: a program that never tells its end is no success', async () => {
    await using server = await fakeNode({ onExec: (channel) => channel.close() });
    const connection = await connectTo(server.port);
    const shell = new PooledShell({
      node: 'node',
      connection,
      connectAnother: () => Promise.reject(new Error('there is no other')),
    });
    await assert.rejects(shell.exec({ script: 'true' }), UserError);
    shell.dispose();
  });

  test('B-013: 1,000 answers to no question, around questions of ours', async () => {
    await using server = await fakeNode();
    const connection = await connectTo(server.port);
    const [peer] = server.connections;
    const answerAll = (): void => {
      for (let times = 0; times < 500; times++) {
        protocolOf(peer!).requestSuccess();
        protocolOf(peer!).requestFailure();
      }
      for (let id = 0; id < 10; id++) {
        sendMessage(peer!, message(99, id));
        sendMessage(peer!, message(100, id));
        sendMessage(peer!, message(92, id, 1, 'no', ''));
      }
    };
    answerAll();
    const pings = [connection.ping(2_000), connection.ping(2_000)];
    answerAll();
    await Promise.all(pings);
    const words = ['a', 'b', 'c'].map(async (word) => {
      answerAll();
      return (await run(connection, `sleep 0.05; echo ${word}`)).stdout.toString();
    });
    const said = await Promise.allSettled(words);
    // A node that answers itself may break its own channels; it never gives one program the other's output.
    for (const [index, result] of said.entries()) {
      if (result.status === 'fulfilled') assert.equal(result.value, `${'abc'[index]}\n`);
    }
    await connection.ping(2_000);
    connection.dispose();
  });

  test('B-014: channels that the server opens to us are refused', async () => {
    await using server = await fakeNode();
    const connection = await connectTo(server.port);
    const [peer] = server.connections;
    const open = (kind: string, ...rest: readonly (string | number)[]): void =>
      sendMessage(peer!, message(90, kind, 77, 1 << 20, 32_768, ...rest));
    const refusals: number[] = [];
    const handlers = (peer as unknown as { _protocol: { _handlers: Record<string, unknown> } })
      ._protocol._handlers;
    handlers['CHANNEL_OPEN_FAILURE'] = (_: unknown, id: number) => refusals.push(id);
    handlers['CHANNEL_OPEN_CONFIRMATION'] = () => assert.fail('it was let in');
    for (let times = 0; times < 25; times++) {
      open('forwarded-tcpip', '127.0.0.1', 22, '127.0.0.1', 1);
      open('forwarded-streamlocal@openssh.com', '/tmp/x', '');
      open('x11', '127.0.0.1', 6000);
      open('auth-agent@openssh.com');
      open('session');
      open('tun@openssh.com');
      open(`\u001b]0;${'x'.repeat(1_000)}`);
    }
    await eventually(() => assert.equal(refusals.length, 175));
    assert.ok(refusals.every((id) => id === 77));
    assert.equal((await run(connection, 'echo on')).stdout.toString(), 'on\n');
    connection.dispose();
  });

  test('B-015: 10,000 window adjustments, past 2^32', async () => {
    await using server = await fakeNode({
      onExec: (channel) => {
        const connection = connectionOf(server, channel);
        const { id } = (channel as unknown as { outgoing: { id: number } }).outgoing;
        for (let times = 0; times < 10_000; times++) {
          sendMessage(connection, message(93, id, 0xffff_ffff));
        }
        channel.on('data', (bytes: Buffer) => channel.write(bytes));
        channel.on('end', () => {
          channel.exit(0);
          channel.end();
        });
      },
    });
    const connection = await connectTo(server.port);
    const bytes = randomBytes(1 << 20);
    const end = await run(connection, 'echo', bytes);
    assert.ok(end.stdout.equals(bytes));
    connection.dispose();
  });

  test('B-016: a re-key every 64 KiB changes nothing', async () => {
    const sshd = await startSshd({ config: 'RekeyLimit 64K' });
    try {
      const connection = await connectTo(sshd.port, { target: await loginOf(sshd) });
      const end = await run(connection, 'seq 1 200000');
      assert.equal(end.stdout.length, 1_288_895);
      assert.equal(end.exitCode, 0);
      connection.dispose();
    } finally {
      await sshd.stop();
    }
  });

  test('B-016: another host key at a re-key before the login has ended', async () => {
    await using server = await fakeNode({
      acceptsLogin: () => {
        const [connection] = server.connections;
        server.changeHostKey(makeHostKey());
        connection!.rekey();
      },
    });
    const { error } = await failureOf(server.port);
    assert.equal(error.code, 'node.hostKeyChanged');
  });

  test('B-017: 1,000 further host keys, of known and unknown kinds: nothing is learnt', async () => {
    await using server = await fakeNode();
    const connection = await connectTo(server.port);
    const [peer] = server.connections;
    const heard: string[] = [];
    const handlers = (
      peer as unknown as {
        _protocol: { _handlers: Record<string, (...args: unknown[]) => void> };
      }
    )._protocol._handlers;
    const inner = handlers['GLOBAL_REQUEST'];
    handlers['GLOBAL_REQUEST'] = (...args) => {
      heard.push(String(args[1]));
      inner?.(...args);
    };
    const keys = Array.from({ length: 500 }, () => makeHostKey().blob);
    const junk = keys.map((_, index) => message(0, `ssh-made-up-${index}`).subarray(1));
    sendMessage(peer!, message(80, 'hostkeys-00@openssh.com', false, ...keys.slice(0, 300)));
    sendMessage(peer!, message(80, 'hostkeys-00@openssh.com', true, ...keys.slice(300), ...junk));
    sendMessage(peer!, message(80, 'hostkeys-00@openssh.com', false, Buffer.alloc(20_000, 0xff)));
    await connection.ping(2_000);
    assert.equal((await run(connection, 'echo on')).stdout.toString(), 'on\n');
    // One that acknowledges the first of the three, and our own; none that asks for a proof.
    assert.deepEqual(heard, ['cancel-tcpip-forward', 'cancel-tcpip-forward']);
    const file = join(folder.path, `known_hosts-${server.port}`);
    assert.equal(
      await readFile(file, 'utf8'),
      knownHostsLine(`[127.0.0.1]:${server.port}`, hostKey.blob),
    );
    connection.dispose();
  });

  for (const reason of [2, 11]) {
    test(`B-011: a farewell with reason ${reason} in the middle, the connection left open`, async () => {
      await using server = await fakeNode();
      const connection = await connectTo(server.port);
      const closed = closedReason(connection);
      const running = run(connection, 'sleep 5');
      await eventually(() => assert.equal(server.connections.size, 1));
      const [peer] = server.connections;
      sendMessage(peer!, message(1, reason, `bye \u001b[2J${'x'.repeat(30_000)}`, ''));
      assert.equal(((await closed) as UserError).code, 'node.connectionLost');
      const end = await running.catch(() => undefined);
      assert.equal(end?.exitCode, undefined);
    });
  }

  for (const [title, send] of [
    ['random bytes', (): Buffer => randomBytes(4_000)],
    ['a message that is too short', (): Buffer => message(94)],
    ['a message of an unknown number', (): Buffer => message(250, 'what')],
    ['an empty message', (): Buffer => Buffer.alloc(1)],
  ] as const) {
    test(`after the login, ${title}: ignored or cut, in one sentence`, async () => {
      await using server = await fakeNode();
      const connection = await connectTo(server.port);
      let reason: Error | undefined;
      connection.onDidClose((why) => (reason = why));
      const [peer] = server.connections;
      if (title === 'random bytes') [...server.sockets][0]!.write(send());
      else sendMessage(peer!, send());
      const ping = await connection.ping(1_000).then(
        () => 'alive',
        (error: UserError) => error.code,
      );
      assert.match(ping, /^(alive|node\.connectionLost)$/);
      if (ping !== 'alive') assert.ok(reason instanceof UserError);
      connection.dispose();
    });
  }

  test('B-008: a reset at 12 points of a session', async () => {
    await using server = await fakeNode();
    const proxy = await ChaosProxy.start(server.port);
    (await connectTo(proxy.port)).dispose();
    const login = proxy.delivered;
    for (let point = 1; point <= 12; point++) {
      proxy.chaos = { resetAt: login + point * 60 };
      const connection = await connectTo(proxy.port);
      const closed = closedReason(connection);
      const end = await run(connection, 'seq 1 2000; exit 0').catch((error: unknown) => error);
      assert.ok(end instanceof UserError || (end as { exitCode?: number }).exitCode === undefined);
      assert.equal(((await closed) as UserError).code, 'node.connectionLost');
    }
    await proxy.stop();
  });
});

/** A packet of the binary protocol (RFC 4253 §6) before there is a cipher. */
function plain(payload: Buffer): Buffer {
  const padding = 8 - ((payload.length + 5) % 8) + 8;
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length + 1 + padding);
  head[4] = padding;
  return Buffer.concat([head, payload, Buffer.alloc(padding)]);
}

function connectionOf(server: FakeSshServer, channel: ServerChannel): ServerConnection {
  const { _client: client } = channel as unknown as { readonly _client: ServerConnection };
  assert.ok(server.connections.has(client));
  return client;
}

/** How to log in on a real sshd, without its configuration file; its host key is on file. */
async function loginOf(sshd: Awaited<ReturnType<typeof startSshd>>): Promise<Partial<SshTarget>> {
  const file = join(sshd.dir, 'known_hosts');
  await writeFile(file, `${sshd.hostKeyLine}\n`);
  return { identityFiles: [join(sshd.dir, 'client')], userKnownHostsFiles: [file] };
}

/** In a process of its own, so that its memory is not counted as ours. */
async function startFlood(): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const script = `
    import { FakeSshServer } from '${import.meta.dirname}/../fakes/fakeSshServer.ts';
    import { protocolOf } from '${import.meta.dirname}/../fakes/rawSsh.ts';
    const chunk = Buffer.alloc(32_000, 'x');
    const server = await FakeSshServer.start({
      hostKeys: [{ pem: process.env.HOST_KEY, blob: Buffer.of() }],
      onExec: (channel) => {
        const [socket] = server.sockets;
        let sent = 0;
        const more = () => {
          while (sent < 600e6 && !socket.destroyed && socket.writableLength < 1 << 20) {
            protocolOf(channel._client).channelData(channel.outgoing.id, chunk);
            sent += chunk.length;
          }
          if (sent < 600e6 && !socket.destroyed) setImmediate(more);
        };
        setTimeout(more, 200);
      },
    });
    console.log(server.port);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, HOST_KEY: hostKey.pem },
  });
  let said = '';
  child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()));
  await eventually(() => assert.match(said, /^\d+\n$/), 10_000);
  return { child, port: Number(said) };
}
