// What every transport promises (connection.ts), tried on real sshds. The tests are the same for all of them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { AuthContext, KeyboardAuthContext } from 'ssh2';
import type { Channel, Connection, Transport } from '../../src/remote/connection.ts';
import { ConnectionReport, formatReport } from '../../src/remote/connectionReport.ts';
import { UnknownHostKey } from '../../src/remote/hostKeyTrust.ts';
import { fingerprint } from '../../src/remote/knownHosts.ts';
import { LoginGate } from '../../src/remote/loginGate.ts';
import type {
  LoginPrompts,
  PassphraseQuestion,
  PasswordQuestion,
} from '../../src/remote/loginPrompts.ts';
import { resolveHost, type SshConfigOptions } from '../../src/remote/sshConfig.ts';
import { eventually } from '../fakes/eventually.ts';
import { FakeSshServer, makeHostKey } from '../fakes/fakeSshServer.ts';
import { startSshd, type TestSshd } from '../fakes/sshd.ts';
import { temporaryFolder } from '../fakes/temporaryFolder.ts';

export type MakeTransport = (config: SshConfigOptions) => Transport;

export interface ConnectTestOptions {
  readonly alias?: string;
  readonly prompts?: LoginPrompts;
  readonly accepted?: readonly string[];
  readonly report?: ConnectionReport;
  readonly gate?: LoginGate;
  readonly signal?: AbortSignal;
}

const made = new Set<Connection>();

/** For a test that failed before it cleaned up: a connection that is left would keep the process going. */
export function disposeOfAll(): void {
  for (const connection of made) connection.dispose();
}

/** Connects to `node` of an ssh configuration file. */
export async function connectBy(
  make: MakeTransport,
  configFile: string,
  options: ConnectTestOptions = {},
): Promise<Connection> {
  const resolve = (alias: string): ReturnType<typeof resolveHost> =>
    resolveHost(alias, { configFile });
  const target = await resolve(options.alias ?? 'node');
  const connection = await make({ configFile })(
    {
      node: 'node',
      target,
      resolve,
      prompts: options.prompts ?? {},
      acceptedHostKeys: new Set(options.accepted),
      gate: options.gate ?? new LoginGate(),
      report: options.report ?? new ConnectionReport(),
    },
    options.signal,
  );
  made.add(connection);
  return connection;
}

export interface Finished {
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
}

/** Runs a command to its end. */
export async function run(
  connection: Connection,
  command: string,
  stdin: string | Buffer = '',
): Promise<Finished> {
  const channel = await connection.openChannel({ command });
  channel.stdin.on('error', () => {
    // Its exit says what happened.
  });
  channel.stdin.end(stdin);
  const [stdout, stderr, exit] = await Promise.all([
    readAll(channel.stdout),
    readAll(channel.stderr),
    channel.exited,
  ]);
  channel.dispose();
  await channel.closed;
  return { stdout, stderr: stderr.toString(), ...exit };
}

export async function readAll(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** What a terminal or a program has said so far. */
export function listen(channel: Channel): () => string {
  let text = '';
  channel.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  channel.stderr.resume();
  return () => text;
}

export function transportSuite(name: string, make: MakeTransport): void {
  let sshd: TestSshd;
  before(async () => {
    sshd = await startSshd();
  });
  after(async () => {
    disposeOfAll();
    await sshd.stop();
  });

  const connect = async (
    lines = '',
    options: ConnectTestOptions & { readonly at?: TestSshd } = {},
  ): Promise<Connection> => connectBy(make, await (options.at ?? sshd).config(lines), options);

  /** For the length of one test, another configuration of the server. */
  const withSshd = async (
    config: string,
    work: (own: TestSshd) => Promise<void>,
  ): Promise<void> => {
    const own = await startSshd({ config });
    try {
      await work(own);
    } finally {
      await own.stop();
    }
  };

  describe(`${name}: programs`, () => {
    let connection: Connection;
    before(async () => {
      connection = await connect();
    });
    after(() => connection.dispose());

    test('output, errors and exit code are exact', async () => {
      const end = await run(connection, 'printf "out\\n"; printf "err\\n" >&2; exit 7');
      assert.deepEqual(
        [end.stdout.toString(), end.stderr, end.exitCode, end.signal],
        ['out\n', 'err\n', 7, undefined],
      );
    });

    for (const code of [0, 1, 127, 128, 254, 255]) {
      test(`exit code ${code} is told`, async () => {
        const end = await run(connection, `exit ${code}`);
        assert.deepEqual([end.exitCode, end.signal], [code, undefined]);
      });
    }

    for (const signal of ['KILL', 'TERM', 'SEGV']) {
      test(`an end by SIG${signal} is told`, async () => {
        const end = await run(connection, `ulimit -c 0; kill -s ${signal} $$`);
        assert.deepEqual([end.exitCode, end.signal], [undefined, `SIG${signal}`]);
      });
    }

    test('a megabyte goes through stdin and stdout byte for byte', async () => {
      const bytes = randomBytes(1 << 20);
      const end = await run(connection, 'cat', bytes);
      assert.equal(sha256(end.stdout), sha256(bytes));
    });

    test('32 MiB on stdout and on stderr arrive whole, side by side', async () => {
      const end = await run(
        connection,
        'dd if=/dev/zero bs=65536 count=512 2>/dev/null & dd if=/dev/zero bs=65536 count=512 >&2 2>/dev/null; wait',
      );
      assert.deepEqual([end.stdout.length, end.stderr.length], [32 << 20, 32 << 20]);
    });

    test('a program waits while nobody reads, and goes on when somebody does', async () => {
      const channel = await connection.openChannel({ command: 'exec seq 1 3000000' });
      channel.stderr.resume();
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.ok(channel.stdout.readableLength < 4 << 20, String(channel.stdout.readableLength));
      // Other channels do not notice.
      assert.equal((await run(connection, 'echo here')).stdout.toString(), 'here\n');
      const text = (await readAll(channel.stdout)).toString();
      assert.equal(text.length, 22_888_896);
      assert.ok(text.endsWith('\n3000000\n'));
      assert.deepEqual(await channel.exited, { exitCode: 0, signal: undefined });
    });

    test('a program that reads nothing ends all the same', async () => {
      const end = await run(connection, 'exit 3', randomBytes(8 << 20));
      assert.equal(end.exitCode, 3);
    });

    test('a closed stdin reaches the program, and its last words reach us', async () => {
      const channel = await connection.openChannel({ command: 'cat; sleep 0.1; echo after' });
      channel.stderr.resume();
      channel.stdin.end('before\n');
      assert.equal((await readAll(channel.stdout)).toString(), 'before\nafter\n');
    });

    test('disposing of a channel ends what reads from it', async () => {
      const channel = await connection.openChannel({ command: 'cat; echo gone > "$0"; exit 1' });
      channel.dispose();
      channel.dispose();
      await channel.closed;
      assert.equal((await run(connection, 'echo there')).stdout.toString(), 'there\n');
    });

    test('eight channels at once', async () => {
      const numbers = Array.from({ length: 8 }, (_, index) => String(index));
      const ends = await Promise.all(
        numbers.map((number) => run(connection, `sleep 0.1; echo ${number}`)),
      );
      assert.deepEqual(
        ends.map((end) => end.stdout.toString().trim()),
        numbers,
      );
    });

    test('a sign of life, with channels and without', async () => {
      await connection.ping(2_000);
      const channel = await connection.openChannel({ command: 'cat' });
      await Promise.all([connection.ping(2_000), connection.ping(2_000)]);
      channel.dispose();
      await channel.closed;
      await connection.ping(2_000);
    });
  });

  describe(`${name}: terminals`, () => {
    let connection: Connection;
    before(async () => {
      connection = await connect();
    });
    after(() => connection.dispose());

    test('a command on a terminal of the asked size, and of every size after', async () => {
      const channel = await connection.openChannel({
        command: `trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done`,
        terminal: { columns: 91, rows: 33 },
      });
      const said = listen(channel);
      await eventually(() => assert.match(said(), /^33 91\r\n/));
      channel.resize({ columns: 120, rows: 40 });
      await eventually(() => assert.match(said(), /40 120\r\n/));
      for (let columns = 50; columns <= 80; columns++) channel.resize({ columns, rows: 24 });
      await eventually(() => assert.match(said(), /24 80\r\n$/));
      channel.dispose();
      await channel.closed;
      channel.resize({ columns: 10, rows: 10 });
    });

    test('a login shell', async () => {
      const channel = await connection.openChannel({
        command: undefined,
        terminal: { columns: 80, rows: 24 },
      });
      const said = listen(channel);
      channel.stdin.write('exec 2>&1; echo "<$TERM>" "$(tty | cut -c 1-8)"; exit 5\r');
      assert.deepEqual(await channel.exited, { exitCode: 5, signal: undefined });
      await eventually(() => assert.match(said(), /<xterm-256color> \/dev\/pts/));
    });

    test('the terminal goes with its channel', async () => {
      const channel = await connection.openChannel({
        command: 'echo "pid=$$"; exec sleep 100',
        terminal: { columns: 80, rows: 24 },
      });
      const said = listen(channel);
      await eventually(() => assert.match(said(), /pid=\d+\r\n/));
      const pid = Number(/pid=(\d+)/.exec(said())![1]);
      channel.dispose();
      await eventually(() => assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' }));
    });
  });

  describe(`${name}: limits and losses`, () => {
    test('MaxSessions 1: one session after the other, a second one at once is refused', async () => {
      await withSshd('MaxSessions 1', async (own) => {
        const connection = await connect('', { at: own });
        const first = await connection.openChannel({ command: 'cat' });
        for (let times = 0; times < 3; times++) {
          await assert.rejects(connection.openChannel({ command: 'true' }), {
            code: 'node.sessionLimit',
          });
        }
        await connection.ping(2_000);
        first.stdin.end();
        first.stdout.resume();
        first.stderr.resume();
        await first.closed;
        // sshd may read our next request before it has cleaned up.
        await eventually(async () => {
          assert.equal((await run(connection, 'echo again')).stdout.toString(), 'again\n');
        });
        connection.dispose();
      });
    });

    test('a terminal that the node does not allow is refused in words', async () => {
      await withSshd('PermitTTY no', async (own) => {
        const connection = await connect('', { at: own });
        const terminal = { columns: 80, rows: 24 };
        await assert.rejects(connection.openChannel({ command: 'tty', terminal }), {
          code: 'node.channelRefused',
        });
        assert.equal((await run(connection, 'echo yes')).stdout.toString(), 'yes\n');
        connection.dispose();
      });
    });

    test('disposing of the connection ends its channels, and is no loss', async () => {
      const connection = await connect();
      const reasons: (Error | undefined)[] = [];
      connection.onDidClose((reason) => reasons.push(reason));
      const channel = await connection.openChannel({ command: 'cat' });
      channel.stdout.resume();
      connection.dispose();
      connection.dispose();
      await channel.closed;
      assert.deepEqual(await channel.exited, { exitCode: undefined, signal: undefined });
      assert.deepEqual(reasons, [undefined]);
      await assert.rejects(connection.openChannel({ command: 'true' }), {
        code: 'node.connectionLost',
      });
    });

    test('a connection that is cut is told once, and ends every channel', async () => {
      await withSshd('', async (own) => {
        const connection = await connect('', { at: own });
        const closed = new Promise<Error | undefined>((resolve) => connection.onDidClose(resolve));
        const channel = await connection.openChannel({ command: 'echo $PPID; exec sleep 100' });
        const said = listen(channel);
        await eventually(() => assert.match(said(), /\d+\n/));
        process.kill(Number(said()), 'SIGKILL');
        assert.match((await closed)?.message ?? '', /^The connection to node was lost/);
        await channel.closed;
        assert.deepEqual(await channel.exited, { exitCode: undefined, signal: undefined });
      });
    });

    test('a dead peer is noticed by the keepalive of the configuration', async () => {
      await withSshd('', async (own) => {
        const connection = await connect('  ServerAliveInterval 1\n  ServerAliveCountMax 2', {
          at: own,
        });
        const closed = new Promise<Error | undefined>((resolve) => connection.onDidClose(resolve));
        const pid = Number((await run(connection, 'echo $PPID')).stdout.toString());
        process.kill(pid, 'SIGSTOP');
        const stoppedAt = performance.now();
        try {
          assert.match((await closed)?.message ?? '', /was lost/);
          assert.ok(performance.now() - stoppedAt < 5_000);
        } finally {
          process.kill(pid, 'SIGKILL');
        }
      });
    });

    test('a dead peer gives no sign of life, and the connection is closed', async () => {
      await withSshd('', async (own) => {
        const connection = await connect('', { at: own });
        const closed = new Promise<Error | undefined>((resolve) => connection.onDidClose(resolve));
        const pid = Number((await run(connection, 'echo $PPID')).stdout.toString());
        process.kill(pid, 'SIGSTOP');
        try {
          await assert.rejects(connection.ping(300), { code: 'node.connectionLost' });
          assert.match((await closed)?.message ?? '', /was lost/);
        } finally {
          process.kill(pid, 'SIGKILL');
        }
      });
    });
  });

  describe(`${name}: host keys`, () => {
    const print = (): string => fingerprint([...sshd.hostKeys.values()][0]!);
    const ask: LoginPrompts = {
      hostKey: () => assert.fail('nobody is asked while a connection is open'),
    };
    const loginsSince = async (from: number): Promise<boolean> =>
      /Failed|Accepted|publickey/.test((await sshd.log()).slice(from));
    after(() => sshd.knownHosts(`${sshd.hostKeyLine}\n`));

    test('an unknown key is a question, with the connection closed and no login tried', async () => {
      await sshd.knownHosts('');
      const from = (await sshd.log()).length;
      await assert.rejects(connect('', { prompts: ask }), (error: unknown) => {
        assert.ok(error instanceof UnknownHostKey, String(error));
        assert.deepEqual(error.question, {
          name: `[127.0.0.1]:${sshd.port}`,
          keyType: 'ssh-ed25519',
          fingerprint: print(),
          knownHostsFile: join(sshd.dir, 'known_hosts'),
        });
        return true;
      });
      assert.equal(await loginsSince(from), false);
      assert.equal(await readFile(join(sshd.dir, 'known_hosts'), 'utf8'), '');
    });

    test('an accepted key is added to known_hosts, and the node is let in', async () => {
      await sshd.knownHosts('# mine, without a line end');
      const connection = await connect('', {
        prompts: ask,
        accepted: [`[127.0.0.1]:${sshd.port} ${print()}`],
      });
      assert.equal((await run(connection, 'echo in')).stdout.toString(), 'in\n');
      connection.dispose();
      assert.equal(
        await readFile(join(sshd.dir, 'known_hosts'), 'utf8'),
        `# mine, without a line end\n${sshd.hostKeyLine}\n`,
      );
    });

    test('another key than the accepted one is a question again', async () => {
      await sshd.knownHosts('');
      const accepted = [`[127.0.0.1]:${sshd.port} SHA256:${'A'.repeat(43)}`];
      await assert.rejects(connect('', { prompts: ask, accepted }), UnknownHostKey);
      assert.equal(await readFile(join(sshd.dir, 'known_hosts'), 'utf8'), '');
    });

    for (const lines of ['', '  StrictHostKeyChecking yes']) {
      test(`an unknown key is refused where nobody can be asked${lines && ', or may be'}`, async () => {
        await sshd.knownHosts('');
        const prompts = lines === '' ? {} : ask;
        const from = (await sshd.log()).length;
        await assert.rejects(connect(lines, { prompts }), (error: unknown) => {
          assert.ok(!(error instanceof UnknownHostKey));
          assert.match(
            String(error),
            new RegExp(`host key of .*:${sshd.port} is not known .ssh-ed25519 SHA256:`),
          );
          return (error as { code?: string }).code === 'node.hostKeyUnknown';
        });
        assert.equal(await loginsSince(from), false);
      });
    }

    for (const mode of ['ask', 'accept-new', 'yes', 'no']) {
      test(`a changed key is refused with StrictHostKeyChecking ${mode}`, async () => {
        const other = (await readFile(join(sshd.dir, 'other.pub'), 'utf8')).split(' ')[1];
        await sshd.knownHosts(`[127.0.0.1]:${sshd.port} ssh-ed25519 ${other}\n`);
        const from = (await sshd.log()).length;
        await assert.rejects(connect(`  StrictHostKeyChecking ${mode}`, { prompts: ask }), {
          code: 'node.hostKeyChanged',
          message:
            `The host key of [127.0.0.1]:${sshd.port} has changed: it offers ssh-ed25519 ${print()}, ` +
            `but another key is on file (${sshd.dir}/known_hosts:1).`,
        });
        assert.equal(await loginsSince(from), false);
      });

      test(`a revoked key is refused with StrictHostKeyChecking ${mode}`, async () => {
        const key = sshd.hostKeyLine.split(' ').slice(1).join(' ');
        await sshd.knownHosts(`${sshd.hostKeyLine}\n@revoked * ${key}\n`);
        const from = (await sshd.log()).length;
        await assert.rejects(connect(`  StrictHostKeyChecking ${mode}`, { prompts: ask }), {
          code: 'node.hostKeyRevoked',
        });
        assert.equal(await loginsSince(from), false);
      });
    }

    for (const mode of ['accept-new', 'no']) {
      test(`a new key is taken with StrictHostKeyChecking ${mode}`, async () => {
        await sshd.knownHosts('');
        (await connect(`  StrictHostKeyChecking ${mode}`)).dispose();
        assert.equal(
          await readFile(join(sshd.dir, 'known_hosts'), 'utf8'),
          `${sshd.hostKeyLine}\n`,
        );
      });
    }

    test('a HostKeyAlias is the name that is looked up and asked about', async () => {
      await sshd.knownHosts(sshd.hostKeyLine.replace(/^\S+/, 'blue'));
      (await connect('  HostKeyAlias blue')).dispose();
      await assert.rejects(connect('  HostKeyAlias green', { prompts: ask }), (error: unknown) => {
        assert.ok(error instanceof UnknownHostKey);
        assert.equal(error.question.name, 'green');
        return true;
      });
    });
  });

  describe(`${name}: logging in`, () => {
    test('a refused login names what was tried', async () => {
      const configFile = await sshd.config();
      const text = await readFile(configFile, 'utf8');
      await writeFile(configFile, text.replace(`${sshd.dir}/client`, `${sshd.dir}/other`));
      await assert.rejects(connectBy(make, configFile), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'node.authRefused');
        assert.match(error.message, /^node refused the login of .* \(tried: key \S+\/other\)\.$/);
        return true;
      });
    });

    test('an agent that is dead holds nobody up', async () => {
      const connection = await connect(`  IdentityAgent ${sshd.dir}/nothing-here`);
      connection.dispose();
    });

    test('a locked key is asked for: once, again when it was wrong, and not when declined', async () => {
      await withSshd('', async (own) => {
        lockKey(join(own.dir, 'client'), 'correct horse');
        const asked: PassphraseQuestion[] = [];
        const connectWith = (answers: readonly string[]): Promise<Connection> => {
          asked.length = 0;
          const passphrase = (question: PassphraseQuestion): Promise<string | undefined> => {
            asked.push(question);
            return Promise.resolve(answers[asked.length - 1]);
          };
          return connect('', { at: own, prompts: { passphrase } });
        };
        (await connectWith(['correct horse'])).dispose();
        const keyFile = join(own.dir, 'client');
        assert.deepEqual(asked, [{ keyFile, wasWrong: false }]);
        (await connectWith(['wrong', 'correct horse'])).dispose();
        assert.deepEqual(asked, [
          { keyFile, wasWrong: false },
          { keyFile, wasWrong: true },
        ]);
        await assert.rejects(connectWith([]), { code: 'node.loginCancelled' });
        assert.equal(asked.length, 1);
        await assert.rejects(connectWith(['no', 'nope', 'never', 'not at all']), {
          code: /^node\.(authRefused|loginCancelled)$/,
        });
        assert.equal(asked.length, 3);
      });
    });

    test('a locked key is passed over where nobody can be asked', async () => {
      await withSshd('', async (own) => {
        lockKey(join(own.dir, 'client'), 'x');
        await assert.rejects(connect('', { at: own }), { code: 'node.authRefused' });
      });
    });

    describe('by words', () => {
      const asked: PasswordQuestion[] = [];
      let answers: (string | undefined)[] = [];
      const prompts: LoginPrompts = {
        password: (question) => {
          asked.push(question);
          return Promise.resolve(answers.shift());
        },
      };
      const connectTo = async (
        acceptsLogin: (context: AuthContext) => void,
        given: (string | undefined)[],
        options: ConnectTestOptions & { readonly lines?: string } = {},
      ): Promise<Connection> => {
        asked.length = 0;
        answers = [...given];
        const key = makeHostKey();
        const server = await FakeSshServer.start({ hostKeys: [key], acceptsLogin });
        await using folder = await temporaryFolder();
        const configFile = join(folder.path, 'config');
        await writeFile(
          configFile,
          `Host node
  HostName 127.0.0.1
  Port ${server.port}
  User deploy
  IdentityAgent none
  UserKnownHostsFile ${folder.path}/known_hosts
  GlobalKnownHostsFile none
${options.lines ?? '  IdentityFile none'}
`,
        );
        await writeFile(
          join(folder.path, 'known_hosts'),
          `[127.0.0.1]:${server.port} ssh-ed25519 ${key.blob.toString('base64')}\n`,
        );
        try {
          const connection = await connectBy(make, configFile, { prompts, ...options });
          connection.onDidClose(() => void server.stop());
          return connection;
        } catch (error) {
          await server.stop();
          throw error;
        }
      };
      const byPassword =
        (right: string) =>
        (context: AuthContext): void => {
          if (context.method === 'password' && context.password === right) context.accept();
          else context.reject(['password']);
        };

      test('a password is asked for in our words', async () => {
        (await connectTo(byPassword('s3cret\\ "x" $y'), ['s3cret\\ "x" $y'])).dispose();
        assert.deepEqual(asked, [
          { where: 'node', text: 'Password of deploy on node', echo: false, isFromNode: false },
        ]);
      });

      test('a wrong password is asked for again, three times in all', async () => {
        (await connectTo(byPassword('right'), ['wrong', 'right'])).dispose();
        assert.equal(asked.length, 2);
        await assert.rejects(connectTo(byPassword('right'), ['1', '2', '3', '4', '5']), {
          code: 'node.authRefused',
          message: /tried: .*password/,
        });
        assert.equal(asked.length, 3);
      });

      test('a declined password ends the login at once', async () => {
        const tried: string[] = [];
        const server = (context: AuthContext): void => {
          tried.push(context.method);
          context.reject(['password']);
        };
        await assert.rejects(connectTo(server, [undefined]), { code: 'node.loginCancelled' });
        assert.deepEqual(tried, ['none']);
        assert.equal(asked.length, 1);
      });

      test('where nobody can be asked, no password is tried', async () => {
        await assert.rejects(connectTo(byPassword('x'), [], { prompts: {} }), {
          code: 'node.authRefused',
        });
        assert.equal(asked.length, 0);
      });

      const rounds = (
        ...scripts: readonly (readonly [instructions: string, prompt: string, answer: string])[]
      ): ((context: AuthContext) => void) => {
        const next = (context: KeyboardAuthContext, index: number): void => {
          const script = scripts[index];
          if (script === undefined) return context.accept();
          const [instructions, prompt, expected] = script;
          context.prompt([{ prompt, echo: false }], 'Login', instructions, ([answer]) => {
            if (answer === expected) next(context, index + 1);
            else context.reject(['keyboard-interactive']);
          });
        };
        return (context) => {
          if (context.method === 'keyboard-interactive') next(context, 0);
          else context.reject(['keyboard-interactive']);
        };
      };

      test('keyboard-interactive in two rounds, in the words of the node', async () => {
        const server = rounds(
          ['', 'Password: ', 'hunter2'],
          ['A code was sent.', 'Code \u001b[31m: ', '123 456'],
        );
        (await connectTo(server, ['hunter2', '123 456'])).dispose();
        assert.deepEqual(
          asked.map(({ isFromNode, echo }) => [isFromNode, echo]),
          [
            [true, false],
            [true, false],
          ],
        );
        assert.match(asked[0]!.text, /Password: $/);
        assert.match(asked[1]!.text, /A code was sent\.[^]*Code .*: $/);
        assert.doesNotMatch(asked[1]!.text, /\u001b/);
      });

      test('a node that asks for the passphrase of our key is not believed', async () => {
        const prompt = `Enter passphrase for key '/home/me/.ssh/id_ed25519': `;
        const passphrase = (): never => assert.fail('this is the node asking');
        const connection = await connectTo(rounds(['', prompt, 'x']), ['x'], {
          prompts: { ...prompts, passphrase },
        });
        connection.dispose();
        assert.equal(asked[0]!.isFromNode, true);
      });

      test('a key and then a code', async () => {
        await using folder = await temporaryFolder();
        const keyFile = join(folder.path, 'id');
        execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', keyFile]);
        let hasKey = false;
        const code = rounds(['', 'One-time code: ', '42']);
        const server = (context: AuthContext): void => {
          if (context.method === 'publickey') {
            if (context.signature === undefined) return context.accept();
            hasKey = true;
            return context.reject(['keyboard-interactive'], true);
          }
          if (hasKey && context.method === 'keyboard-interactive') return code(context);
          context.reject(['publickey']);
        };
        const lines = `  IdentityFile ${keyFile}\n  IdentitiesOnly yes`;
        (await connectTo(server, ['42'], { lines })).dispose();
        assert.deepEqual(
          asked.map(({ text }) => /One-time code: $/.test(text)),
          [true],
        );
      });

      test('a cancelled login while somebody is asked leaves no connection', async () => {
        const abort = new AbortController();
        let asking: () => void = () => undefined;
        const isAsked = new Promise<void>((resolve) => (asking = resolve));
        const prompts: LoginPrompts = {
          password: () => {
            asking();
            return new Promise(() => undefined);
          },
        };
        const connecting = connectTo(byPassword('x'), [], { prompts, signal: abort.signal });
        const rejected = assert.rejects(connecting, { name: 'AbortError' });
        await isAsked;
        abort.abort();
        await rejected;
      });
    });
  });

  describe(`${name}: the way`, () => {
    test('a port where nobody listens is a refused connection', async () => {
      const configFile = await sshd.config();
      const text = await readFile(configFile, 'utf8');
      await writeFile(configFile, text.replace(`Port ${sshd.port}`, 'Port 1'));
      await assert.rejects(connectBy(make, configFile), {
        code: 'node.refused',
        message: 'node refused the connection at 127.0.0.1:1.',
      });
    });

    test('a name that nobody knows', async () => {
      const configFile = await sshd.config();
      const text = await readFile(configFile, 'utf8');
      await writeFile(configFile, text.replace('HostName 127.0.0.1', 'HostName nobody.invalid'));
      await assert.rejects(connectBy(make, configFile), {
        code: 'node.nameNotFound',
        message: /^The name nobody\.invalid of node/,
      });
    });

    for (const greeting of ['HTTP/1.1 400 Bad Request\r\n\r\n', '\u0016\u0003\u0001\u0002\r\n']) {
      test(`something else than SSH: ${JSON.stringify(greeting.slice(0, 8))}`, async () => {
        const server = createServer((socket) => {
          socket.on('error', () => undefined);
          socket.end(greeting);
        });
        const port = await new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
        });
        const configFile = await sshd.config();
        const text = await readFile(configFile, 'utf8');
        await writeFile(configFile, text.replace(`Port ${sshd.port}`, `Port ${port}`));
        await assert.rejects(connectBy(make, configFile), { code: /^node\.(notSsh|closed)$/ });
        server.close();
      });
    }

    test('two jump hosts, and the report tells of each', async () => {
      const first = await startSshd();
      const second = await startSshd();
      try {
        const configFile = await chain(sshd, second, first);
        const report = new ConnectionReport();
        const connection = await connectBy(make, configFile, { report });
        assert.equal((await run(connection, 'echo there')).stdout.toString(), 'there\n');
        const text = formatReport('node', report);
        assert.equal(text.match(/^ok .* Log in as /gm)?.length, 3, text);
        connection.dispose();

        await second.knownHosts('');
        const prompts = { hostKey: () => assert.fail('not while a connection is open') };
        await assert.rejects(connectBy(make, configFile, { prompts }), (error: unknown) => {
          assert.ok(error instanceof UnknownHostKey, String(error));
          assert.equal(error.question.name, `[127.0.0.1]:${second.port}`);
          assert.equal(error.question.knownHostsFile, join(second.dir, 'known_hosts'));
          return true;
        });
        const print = fingerprint([...second.hostKeys.values()][0]!);
        const accepted = [`[127.0.0.1]:${second.port} ${print}`];
        (await connectBy(make, configFile, { prompts, accepted })).dispose();
      } finally {
        await first.stop();
        await second.stop();
      }
    });

    test('what is wrong behind a jump host is told of the right one', async () => {
      const jump = await startSshd();
      try {
        const configFile = await chain(sshd, jump);
        const text = await readFile(configFile, 'utf8');
        await writeFile(configFile, text.replace(`Port ${sshd.port}`, 'Port 1'));
        await assert.rejects(connectBy(make, configFile), { code: 'node.jumpRefused' });
        await writeFile(configFile, text.replace(`${jump.dir}/client`, `${jump.dir}/other`));
        await assert.rejects(connectBy(make, configFile), {
          code: 'node.authRefused',
          message: /^node \(jump hop0\) refused the login of /,
        });
      } finally {
        await jump.stop();
      }
    });

    test('a ProxyCommand is the way, and its failure is told as such', async () => {
      const connection = await connect(
        `  ProxyCommand ${process.execPath} -e 'const s=require("net").connect(%p,"%h");process.stdin.pipe(s).pipe(process.stdout)'`,
      );
      assert.equal((await run(connection, 'echo through')).stdout.toString(), 'through\n');
      connection.dispose();
      await assert.rejects(connect('  ProxyCommand sh -c "echo no such way >&2; exit 3"'), {
        code: 'node.proxyFailed',
        message: 'The ProxyCommand for node failed: no such way.',
      });
    });

    test('the gate is left after the login, and after its failure', async () => {
      const gate = new LoginGate();
      const connections = await Promise.all(Array.from({ length: 7 }, () => connect('', { gate })));
      for (const connection of connections) connection.dispose();
      for (let times = 0; times < 6; times++) {
        await assert.rejects(connect('  PubkeyAuthentication no', { gate }));
      }
      (await connect('', { gate })).dispose();
    });
  });
}

/** A configuration for `node` behind the jump hosts, the nearest one last. */
async function chain(node: TestSshd, ...jumps: readonly TestSshd[]): Promise<string> {
  const block = async (sshd: TestSshd, alias: string, via?: string): Promise<string> => {
    const file = await sshd.config(via === undefined ? '' : `  ProxyJump ${via}`);
    const text = await readFile(file, 'utf8');
    await rm(file);
    return text.replace('Host node', `Host ${alias}`);
  };
  const nameOf = (index: number): string | undefined =>
    index < jumps.length ? `hop${index}` : undefined;
  const blocks = [
    await block(node, 'node', nameOf(0)),
    ...(await Promise.all(
      jumps.map((jump, index) => block(jump, `hop${index}`, nameOf(index + 1))),
    )),
  ];
  const file = join(node.dir, `chain-${randomBytes(4).toString('hex')}`);
  await writeFile(file, blocks.join('\n'));
  return file;
}

export function lockKey(file: string, passphrase: string): void {
  execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', passphrase, '-f', file]);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
