// Host keys on the wire: what is sent before a key is trusted, counted by the server.

import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { mock } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sshConnector } from '../../src/remote/connect.ts';
import type { Connection, Transport } from '../../src/remote/connection.ts';
import { ConnectionReport } from '../../src/remote/connectionReport.ts';
import { HostKeyQuestions } from '../../src/remote/hostKeyQuestions.ts';
import { fingerprint, knownHostsLine } from '../../src/remote/knownHosts.ts';
import { LoginGate } from '../../src/remote/loginGate.ts';
import type { HostKeyQuestion, LoginPrompts } from '../../src/remote/loginPrompts.ts';
import type { Node } from '../../src/remote/node.ts';
import type { SshTarget } from '../../src/remote/sshConfig.ts';
import { createSsh2Transport } from '../../src/remote/ssh2Connection.ts';
import { eventually } from '../fakes/eventually.ts';
import { FakeSshServer, makeHostKey, type FakeHostKey } from '../fakes/fakeSshServer.ts';
import { sshTarget } from '../fakes/sshTarget.ts';
import { temporaryFolder } from '../fakes/temporaryFolder.ts';

const modes = ['ask', 'accept-new', 'yes', 'no'] as const;
const sayYes: LoginPrompts = { hostKey: () => Promise.resolve(true) };

function connect(
  transport: Transport,
  target: SshTarget,
  options: {
    readonly accepted?: readonly string[];
    readonly prompts?: LoginPrompts;
    readonly jumps?: ReadonlyMap<string, SshTarget>;
    readonly report?: ConnectionReport;
  } = {},
): Promise<Connection> {
  return transport({
    node: 'node',
    target,
    resolve: (alias) => {
      const jump = options.jumps?.get(alias);
      return jump === undefined ? Promise.reject(new Error(alias)) : Promise.resolve(jump);
    },
    prompts: options.prompts ?? sayYes,
    acceptedHostKeys: new Set(options.accepted),
    gate: new LoginGate(),
    report: options.report ?? new ConnectionReport(),
  });
}

/** A reason to refuse the key of a server, as known_hosts lines and how the host is reached. */
interface Reason {
  readonly title: string;
  readonly code: string;
  readonly lines: (server: FakeSshServer, key: Buffer, other: Buffer, rsa: Buffer) => string;
  readonly target?: Partial<SshTarget>;
}

const nameOf = ({ port }: FakeSshServer): string => `[127.0.0.1]:${port}`;
const reasons: readonly Reason[] = [
  {
    title: 'changed',
    code: 'node.hostKeyChanged',
    lines: (server, _key, other) => knownHostsLine(nameOf(server), other),
  },
  {
    title: 'revoked',
    code: 'node.hostKeyRevoked',
    lines: (server, key) =>
      `${knownHostsLine(nameOf(server), key)}@revoked ${knownHostsLine('*', key)}`,
  },
  {
    title: 'other type known',
    code: 'node.hostKeyChanged',
    lines: (server, _key, _other, rsa) => knownHostsLine(nameOf(server), rsa),
  },
  {
    title: 'hashed',
    code: 'node.hostKeyChanged',
    lines: (server, _key, other) => knownHostsLine(nameOf(server), other, true),
  },
  {
    title: 'another key for this port',
    code: 'node.hostKeyChanged',
    lines: (server, key, other) =>
      knownHostsLine('127.0.0.1', key) + knownHostsLine(nameOf(server), other),
  },
  {
    title: 'alias',
    code: 'node.hostKeyChanged',
    lines: (server, key, other) =>
      knownHostsLine(nameOf(server), key) + knownHostsLine('app', other),
    target: { hostKeyAlias: 'App' },
  },
  {
    title: 'wildcard',
    code: 'node.hostKeyChanged',
    lines: (_server, _key, other) => knownHostsLine('!*.example,[127.*]:*', other),
  },
];

test('R-01: a host key that is not the one on file is refused before anything is sent', async (t) => {
  await using folder = await temporaryFolder();
  const rsa = makeHostKey('rsa').blob;
  const transport = createSsh2Transport();
  let refused = 0;
  for (const type of ['ed25519', 'ecdsa'] as const) {
    const key = makeHostKey(type);
    const other = makeHostKey(type).blob;
    const server = await FakeSshServer.start({ hostKeys: [key] });
    const behind = await FakeSshServer.start({ hostKeys: [key] });
    /** Tries with the lines in one of the files; gives what the connection failed with. */
    const refusal = async (
      lines: string,
      isGlobal: boolean,
      target: Partial<SshTarget>,
      prompts: LoginPrompts,
      jumpLines?: string,
    ): Promise<unknown> => {
      const [user, global] = ['user', 'global'].map((name) => join(folder.path, name));
      await writeFile(user!, isGlobal ? '' : lines);
      await writeFile(global!, isGlobal ? lines : '');
      const files = { userKnownHostsFiles: [user!], globalKnownHostsFiles: [global!] };
      const direct = sshTarget({ alias: 'node', port: server.port, ...files, ...target });
      const hop = { ...direct, alias: 'hop' };
      const far = sshTarget({ alias: 'far', port: behind.port, ...files, proxyJump: ['hop'] });
      const options = {
        accepted: [direct, hop, far].map(
          ({ port }) => `[127.0.0.1]:${port} ${fingerprint(key.blob)}`,
        ),
        prompts,
        jumps: new Map([['hop', hop]]),
      };
      const tried = connect(transport, jumpLines === undefined ? direct : far, options);
      const error: unknown = await tried.then(
        (connection) => connection.dispose(),
        (reason: unknown) => reason,
      );
      assert.equal(await readFile(user!, 'latin1'), isGlobal ? '' : lines);
      return error;
    };
    for (const mode of modes) {
      for (const isGlobal of [false, true]) {
        for (const prompts of [sayYes, {}]) {
          for (const { title, code, lines, target } of reasons) {
            const text = lines(server, key.blob, other, rsa);
            const strict = { ...target, strictHostKeyChecking: mode };
            const error = await refusal(text, isGlobal, strict, prompts);
            assert.equal((error as { code?: string } | undefined)?.code, code, `${title}, ${mode}`);
            refused++;
          }
          const text =
            knownHostsLine(nameOf(server), other) + knownHostsLine(nameOf(behind), key.blob);
          const strict = { strictHostKeyChecking: mode };
          const error = await refusal(text, isGlobal, strict, prompts, text);
          assert.equal((error as { code?: string } | undefined)?.code, 'node.hostKeyChanged', mode);
          refused++;
        }
      }
    }
    assert.deepEqual(server.loginRequests, []);
    assert.equal(behind.accepted, 0);
    assert.equal(server.accepted, refused / (type === 'ed25519' ? 1 : 2));
    await Promise.all([server.stop(), behind.stop()]);
  }
  assert.equal(refused, 256);
  t.diagnostic(`${refused} of ${refused} refused, 0 login requests`);
});

test('R-01: behind a hop that is trusted, the node’s own key counts, under its own name', async () => {
  await using folder = await temporaryFolder();
  const [hopKey, key, other] = [makeHostKey(), makeHostKey(), makeHostKey()];
  const bastion = await FakeSshServer.start({ hostKeys: [hopKey] });
  const server = await FakeSshServer.start({ hostKeys: [key] });
  const file = join(folder.path, 'known_hosts');
  const files = { userKnownHostsFiles: [file] };
  const hop = sshTarget({ alias: 'hop', port: bastion.port, ...files });
  const far = sshTarget({ alias: 'far', port: server.port, ...files, proxyJump: ['hop'] });
  const jumps = new Map([['hop', hop]]);
  const transport = createSsh2Transport();
  const hopLine = knownHostsLine(nameOf(bastion), hopKey.blob);
  // The hop's key does not vouch for the node, nor the other way round.
  for (const wrong of [other.blob, hopKey.blob]) {
    await writeFile(file, hopLine + knownHostsLine(nameOf(server), wrong));
    await assert.rejects(connect(transport, far, { jumps }), { code: 'node.hostKeyChanged' });
  }
  assert.deepEqual(server.loginRequests, []);
  await writeFile(file, hopLine + knownHostsLine(nameOf(server), key.blob));
  (await connect(transport, far, { jumps })).dispose();
  assert.ok(server.loginRequests.length > 0);
  await Promise.all([server.stop(), bastion.stop()]);
});

for (const answer of [true, false]) {
  test(`R-02: 64 unknown nodes are one question with no socket open; ${answer ? 'yes' : 'no'}`, async () => {
    await using folder = await temporaryFolder();
    const key = makeHostKey();
    const server = await FakeSshServer.start({ hostKeys: [key] });
    const file = join(folder.path, 'known_hosts');
    const nodes = Array.from({ length: 64 }, (_, index): Node => {
      const name = `node-${index}`;
      return { name, host: name, labels: [], logs: [], origin: 'settings' };
    });
    const configFile = join(folder.path, 'config');
    const hosts = nodes.map(({ host }) => `Host ${host}\n  HostKeyAlias ${host}\n`).join('');
    await writeFile(
      configFile,
      `${hosts}Host *\n  HostName 127.0.0.1\n  Port ${server.port}\n  IdentityAgent none\n` +
        `  IdentityFile none\n  UserKnownHostsFile ${file}\n  GlobalKnownHostsFile none\n`,
    );
    const dialogs: string[][] = [];
    const questions = new HostKeyQuestions(async (asked: readonly HostKeyQuestion[]) => {
      dialogs.push(asked.map(({ name }) => name));
      await eventually(() => assert.equal(server.sockets.size, 0));
      const before = server.accepted;
      await sleep(500);
      assert.equal(server.sockets.size, 0);
      assert.equal(server.accepted, before);
      assert.deepEqual(server.loginRequests, []);
      return answer;
    });
    const connectNode = sshConnector(
      () => ({ configFile }),
      () => ({ hostKey: (question) => questions.ask(question) }),
    );
    const { signal } = new AbortController();
    const results = await Promise.allSettled(nodes.map((node) => connectNode(node, signal)));
    assert.equal(dialogs.length, 1);
    assert.deepEqual(dialogs[0]!.sort(), nodes.map(({ name }) => name).sort());
    if (answer) {
      for (const result of results) {
        if (result.status === 'rejected') throw result.reason;
        result.value.dispose();
      }
      const lines = (await readFile(file, 'latin1')).trimEnd().split('\n');
      assert.deepEqual(
        lines.sort(),
        nodes.map(({ name }) => knownHostsLine(name, key.blob).trim()).sort(),
      );
    } else {
      for (const result of results) {
        assert.equal(result.status, 'rejected');
        assert.equal((result.reason as { code: string }).code, 'node.hostKeyUnknown');
      }
      assert.deepEqual(server.loginRequests, []);
      await assert.rejects(readFile(file), { code: 'ENOENT' });
    }
    await server.stop();
  });
}

/** A connection whose host key check goes on until `finish` is called: known_hosts is locked. */
async function withUnfinishedCheck(
  work: (parts: {
    readonly server: FakeSshServer;
    readonly connection: Promise<Connection>;
    readonly untilChecking: (pause: () => Promise<unknown>) => Promise<void>;
    readonly finish: () => Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  await using folder = await temporaryFolder();
  const server = await FakeSshServer.start({ hostKeys: [makeHostKey()] });
  const file = join(folder.path, 'known_hosts');
  await writeFile(file, '# an unfinished line');
  await writeFile(`${file}.faultline-lock`, '');
  const target = sshTarget({
    alias: 'node',
    port: server.port,
    userKnownHostsFiles: [file],
    strictHostKeyChecking: 'accept-new',
  });
  const report = new ConnectionReport();
  const connection = connect(createSsh2Transport(), target, { report });
  connection.catch(() => undefined);
  await work({
    server,
    connection,
    untilChecking: async (pause) => {
      while (report.current?.title.startsWith('Check the host key') !== true) await pause();
    },
    finish: () => rm(`${file}.faultline-lock`),
  });
  await server.stop();
}

test('R-03: an answer after the node has hung up does no harm', async () => {
  await withUnfinishedCheck(async ({ server, connection, untilChecking, finish }) => {
    await untilChecking(() => sleep(5));
    for (const socket of server.sockets) socket.destroy();
    await assert.rejects(connection, { code: 'node.closed' });
    await finish();
    await sleep(100);
    assert.deepEqual(server.loginRequests, []);
  });
});

test('R-03: a check that never ends is ended by the handshake’s deadline', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  await withUnfinishedCheck(async ({ server, connection, untilChecking, finish }) => {
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    await untilChecking(turn);
    mock.timers.tick(20_000);
    await assert.rejects(connection, { code: 'node.handshakeTimeout' });
    mock.timers.reset();
    await eventually(() => assert.equal(server.sockets.size, 0));
    assert.deepEqual(server.loginRequests, []);
    await finish();
  });
});

/** A server and a connection to it that trusts `key`. */
async function connectTrusting(
  folder: string,
  key: FakeHostKey,
): Promise<{ readonly server: FakeSshServer; readonly connection: Connection }> {
  const server = await FakeSshServer.start({ hostKeys: [key] });
  const file = join(folder, 'known_hosts');
  await writeFile(file, knownHostsLine(nameOf(server), key.blob));
  const target = sshTarget({ alias: 'node', port: server.port, userKnownHostsFiles: [file] });
  return { server, connection: await connect(createSsh2Transport(), target) };
}

test('R-03: at a re-key the same key goes on, and another key ends the connection', async () => {
  await using folder = await temporaryFolder();
  const { server, connection } = await connectTrusting(folder.path, makeHostKey());
  const rekey = (): Promise<void> =>
    new Promise((resolve) => {
      for (const client of server.connections) client.rekey(() => resolve());
    });
  await rekey();
  await connection.ping(5_000);
  const closed = new Promise<Error | undefined>((resolve) => connection.onDidClose(resolve));
  server.changeHostKey(makeHostKey());
  void rekey();
  assert.equal(((await closed) as { code?: string } | undefined)?.code, 'node.hostKeyChanged');
  await server.stop();
});

test('R-09: the offer holds nothing with SHA-1, CBC or compression', async (t) => {
  await using folder = await temporaryFolder();
  let onOffer: (lists: string[]) => void = () => undefined;
  const offered = new Promise<string[]>((resolve) => (onOffer = resolve));
  const server = createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.write('SSH-2.0-Test\r\n');
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const lists = readKexInit(received);
      if (lists === undefined) return;
      onOffer(lists);
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  const { port } = server.address() as AddressInfo;
  const file = join(folder.path, 'known_hosts');
  const target = sshTarget({ alias: 'node', port, userKnownHostsFiles: [file] });
  await assert.rejects(connect(createSsh2Transport(), target));
  server.close();

  const lists = await offered;
  const [kex = '', hostKeys = '', cipherOut, cipherIn, macOut, macIn, compressOut, compressIn] =
    lists;
  t.diagnostic(lists.slice(0, 8).join(' | '));
  assert.equal(cipherOut, cipherIn);
  assert.equal(macOut, macIn);
  assert.deepEqual([compressOut, compressIn], ['none', 'none']);
  const all = [kex, hostKeys, cipherOut, macOut].join(',').split(',');
  const weak =
    /^(ssh-rsa|ssh-dss|hmac-sha1.*|hmac-md5.*|.*-cbc(@.*)?|arcfour.*|.*-sha1|zlib.*|none)$/;
  assert.deepEqual(
    all.filter((name) => weak.test(name)),
    [],
  );
  assert.match(cipherOut ?? '', /^aes128-gcm@openssh\.com,/);
  assert.ok(kex.includes('kex-strict-c-v00@openssh.com'), 'Terrapin');
});

/** The ten name lists of the first packet (RFC 4253 §7.1), once it is there. */
function readKexInit(bytes: Buffer): string[] | undefined {
  const start = bytes.indexOf('\r\n') + 2;
  if (start < 2 || bytes.length < start + 4) return undefined;
  const packet = bytes.subarray(start + 4, start + 4 + bytes.readUInt32BE(start));
  if (packet.length < bytes.readUInt32BE(start)) return undefined;
  assert.equal(packet[1], 20, 'SSH_MSG_KEXINIT');
  const lists: string[] = [];
  for (let at = 1 + 1 + 16; lists.length < 10;) {
    const length = packet.readUInt32BE(at);
    lists.push(packet.toString('latin1', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return lists;
}
