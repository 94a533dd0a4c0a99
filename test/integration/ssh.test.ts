// The ssh2 shell against a real sshd.

import assert from 'node:assert/strict';
import { writeFile, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { splitLines, type Line } from '../../src/base/lines.ts';
import { measureClock } from '../../src/remote/clock.ts';
import { sshConnector } from '../../src/remote/connect.ts';
import type { Node } from '../../src/remote/node.ts';
import type { Shell } from '../../src/remote/shell.ts';
import type { LoginPrompts } from '../../src/remote/loginPrompts.ts';
import { eventually } from '../fakes/eventually.ts';
import { startSshd, type TestSshd } from '../fakes/sshd.ts';

const node: Node = { name: 'node', host: 'node', labels: [], logs: [], origin: 'settings' };
let sshd: TestSshd;

before(async () => {
  // A re-key every 256 KiB: ssh2 asks its host verifier again at each of them.
  sshd = await startSshd({ config: 'RekeyLimit 256K\nMaxSessions 10' });
});
after(() => sshd.stop());

async function connect(lines = '', prompts: LoginPrompts = {}): Promise<Shell> {
  const configFile = await sshd.config(lines);
  const connector = sshConnector(
    () => ({ configFile }),
    () => prompts,
  );
  return connector(node, new AbortController().signal);
}

test('a command runs, and its output, exit code and arguments are exact', async () => {
  const shell = await connect();
  const result = await shell.exec({
    script: 'printf "%s|" "$@"; echo oops >&2; exit 7',
    args: ['a b', "it's", 'é\n', Buffer.from([1, 128, 255])],
  });
  assert.deepEqual(
    result.stdout,
    Buffer.concat([Buffer.from("a b|it's|é\n|"), Buffer.from([1, 128, 255]), Buffer.from('|')]),
  );
  assert.deepEqual([result.stderr, result.exitCode, result.signal], ['oops\n', 7, undefined]);
  shell.dispose();
});

test('a program ended by a signal says so', async () => {
  const shell = await connect();
  const result = await shell.exec({ script: 'kill -s KILL $$' });
  assert.deepEqual([result.exitCode, result.signal], [undefined, 'SIGKILL']);
  shell.dispose();
});

test('300,000 lines arrive unharmed through many re-keys', async () => {
  const shell = await connect();
  const program = await shell.start({ script: 'exec seq 1 300000' });
  let expected = 0;
  for await (const line of splitLines(program.stdout)) {
    assert.equal(line.text, String(++expected));
  }
  assert.equal(expected, 300_000);
  shell.dispose();
});

test('twenty commands at once share one connection of eight channels', async () => {
  const shell = await connect();
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      shell.exec({ script: 'sleep 0.05; echo "$1"', args: [String(index)] }),
    ),
  );
  assert.deepEqual(
    answers.map((answer) => answer.stdout.toString().trim()),
    Array.from({ length: 20 }, (_, index) => String(index)),
  );
  shell.dispose();
});

test('the clock of this very machine is measured as ours', async () => {
  const shell = await connect();
  const clock = await measureClock(shell);
  assert.ok(Math.abs(clock.offsetMs) <= clock.errorMs + 5, JSON.stringify(clock));
  assert.ok(clock.errorMs < 100);
  shell.dispose();
});

test('an unknown host key is refused when nobody can be asked, and no login is tried', async () => {
  await sshd.knownHosts('');
  const before = (await sshd.log()).length;
  await assert.rejects(connect(), { code: 'node.hostKeyUnknown' });
  await assertNoLoginTried(before);
});

test('an unknown host key is remembered once the user accepts it', async () => {
  await sshd.knownHosts('# mine, without a line end');
  const asked: string[] = [];
  const shell = await connect('', {
    hostKey: (question) => {
      asked.push(`${question.name} ${question.keyType}`);
      return Promise.resolve(true);
    },
  });
  shell.dispose();
  assert.deepEqual(asked, [`[127.0.0.1]:${sshd.port} ssh-ed25519`]);
  const file = await readFile(join(sshd.dir, 'known_hosts'), 'utf8');
  assert.equal(file, `# mine, without a line end\n${sshd.hostKeyLine}\n`);
});

test('a declined host key is not remembered', async () => {
  await sshd.knownHosts('');
  await assert.rejects(connect('', { hostKey: () => Promise.resolve(false) }), {
    code: 'node.hostKeyUnknown',
  });
  assert.equal(await readFile(join(sshd.dir, 'known_hosts'), 'utf8'), '');
});

for (const mode of ['ask', 'accept-new', 'yes', 'no']) {
  test(`a changed host key is refused with StrictHostKeyChecking ${mode}`, async () => {
    const other = (await readFile(join(sshd.dir, 'other.pub'), 'utf8')).split(' ')[1];
    await sshd.knownHosts(`[127.0.0.1]:${sshd.port} ssh-ed25519 ${other}\n`);
    const before = (await sshd.log()).length;
    const prompts = { hostKey: () => Promise.resolve(true) };
    await assert.rejects(connect(`  StrictHostKeyChecking ${mode}`, prompts), {
      code: 'node.hostKeyChanged',
    });
    await assertNoLoginTried(before);
    await sshd.knownHosts(`${sshd.hostKeyLine}\n`);
  });
}

test('a refused login names what was tried', async () => {
  const configFile = join(sshd.dir, 'refused');
  const text = await readFile(await sshd.config(), 'utf8');
  await writeFile(configFile, text.replace(`${sshd.dir}/client`, `${sshd.dir}/other`));
  const connector = sshConnector(
    () => ({ configFile }),
    () => ({}),
  );
  await assert.rejects(connector(node, new AbortController().signal), (error: Error) => {
    assert.equal((error as Error & { code: string }).code, 'node.authRefused');
    assert.match(error.message, /tried: key .*\/other/);
    return true;
  });
});

test('an account that runs no commands is one sentence', async () => {
  const stubborn = await startSshd({ config: 'ForceCommand echo This account is closed. >&2' });
  const configFile = await stubborn.config();
  const connector = sshConnector(
    () => ({ configFile }),
    () => ({}),
  );
  await assert.rejects(connector(node, new AbortController().signal), {
    code: 'node.noShell',
    message: 'node lets you log in, but runs no commands (it says: This account is closed.).',
  });
  await stubborn.stop();
});

test('something that is not SSH is named as such', async () => {
  const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const port = await listen(server);
  const configFile = await sshd.config();
  const text = await readFile(configFile, 'utf8');
  await writeFile(configFile, text.replace(`Port ${sshd.port}`, `Port ${port}`));
  const connector = sshConnector(
    () => ({ configFile }),
    () => ({}),
  );
  await assert.rejects(connector(node, new AbortController().signal), (error: Error) => {
    assert.match((error as Error & { code: string }).code, /^node\.(notSsh|closed)$/);
    return true;
  });
  server.close();
});

test('a connection that is killed is noticed, and its programs end with an error', async () => {
  const own = await startSshd();
  const configFile = await own.config();
  const connector = sshConnector(
    () => ({ configFile }),
    () => ({}),
  );
  const shell = await connector(node, new AbortController().signal);
  const closed = new Promise<Error | undefined>((resolve) => shell.onDidClose(resolve));
  const session = await shell.exec({ script: 'echo $PPID' });
  const waiting = shell.exec({ script: 'exec sleep 30' });
  const failed = assert.rejects(waiting, { code: 'node.connectionLost' });
  const program = await shell.start({ script: 'echo started; exec sleep 30' });
  await splitLines(program.stdout).next();
  process.kill(Number(session.stdout.toString().trim()), 'SIGKILL');
  await own.stop();
  assert.match((await closed)?.message ?? '', /lost/);
  await failed;
  assert.deepEqual(await program.exited, { exitCode: undefined, signal: undefined });
});

test('a guarded program leaves nothing behind when the connection goes', async () => {
  const shell = await connect();
  const program = await shell.start({ script: 'sleep 62 & echo "$! $$"; wait' }, { guard: true });
  const first = await splitLines(program.stdout).next();
  const pids = (first.value as Line).text.split(' ').map(Number);
  shell.dispose();
  await eventually(() => {
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  }, 5000);
});

test('a terminal runs a command with its arguments, on a terminal of the asked size', async () => {
  const shell = await connect();
  const long = 'x'.repeat(9000);
  const terminal = await shell.openTerminal(
    { columns: 91, rows: 33 },
    { script: 'stty size; printf "%s" "$1" | wc -c; exit 3', args: [long] },
  );
  let output = '';
  terminal.output.on('data', (chunk: Buffer) => (output += chunk.toString()));
  assert.deepEqual(await terminal.exited, { exitCode: 3, signal: undefined });
  await eventually(() => assert.match(output, /^33 91\r\n9000\r\n/));
  shell.dispose();
});

test('what is typed before the command has reached the terminal goes to the command', async () => {
  const shell = await connect();
  const terminal = await shell.openTerminal(
    { columns: 80, rows: 24 },
    { script: 'read -r line; echo "got <$line>"' },
  );
  terminal.write('early words\r');
  let output = '';
  terminal.output.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await terminal.exited;
  await eventually(() => assert.match(output, /got <early words>/));
  shell.dispose();
});

async function assertNoLoginTried(from: number): Promise<void> {
  const text = (await sshd.log()).slice(from);
  assert.doesNotMatch(text, /Failed|Accepted|publickey/);
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}
