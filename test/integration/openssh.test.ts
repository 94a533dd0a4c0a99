// The system's ssh as a transport: the promises of all transports, and what only it can do.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Connection } from '../../src/remote/connection.ts';
import { ConnectionReport, formatReport } from '../../src/remote/connectionReport.ts';
import type { LoginPrompts } from '../../src/remote/loginPrompts.ts';
import { opensshTransport } from '../../src/remote/opensshConnection.ts';
import { eventually } from '../fakes/eventually.ts';
import { FakeSshServer, makeHostKey } from '../fakes/fakeSshServer.ts';
import { startSshd, type TestSshd } from '../fakes/sshd.ts';
import { temporaryFolder, type TemporaryFolder } from '../fakes/temporaryFolder.ts';
import {
  connectBy,
  disposeOfAll,
  run,
  transportSuite,
  type ConnectTestOptions,
} from './transportSuite.ts';

transportSuite('system ssh', (config) => opensshTransport(config));

describe('system ssh alone', () => {
  let sshd: TestSshd;
  let runtime: TemporaryFolder;
  const inherited = process.env.XDG_RUNTIME_DIR;

  before(async () => {
    sshd = await startSshd();
    runtime = await temporaryFolder();
    process.env.XDG_RUNTIME_DIR = runtime.path;
  });
  after(async () => {
    if (inherited === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = inherited;
    disposeOfAll();
    await runtime[Symbol.asyncDispose]();
    await sshd.stop();
  });

  const connect = async (lines = '', options: ConnectTestOptions = {}): Promise<Connection> =>
    connectBy(opensshTransport, await sshd.config(lines), options);

  /** All that a connection leaves on this machine. */
  const leftovers = (): string[] => [...readdirSync(runtime.path), ...descendants(process.pid)];
  const assertNothingLeft = (): Promise<void> =>
    eventually(() => assert.deepEqual(leftovers(), onlySshd()));
  const onlySshd = (): string[] => descendants(process.pid).filter((line) => /^sshd/.test(line));

  test('while it is connected there is one process, no socket to find and no directory', async () => {
    const connection = await connect();
    assert.deepEqual(readdirSync(runtime.path), []);
    const own = descendants(process.pid).filter((line) => !line.startsWith('sshd'));
    assert.equal(own.length, 1, own.join('\n'));
    assert.ok(
      !readFileSync('/proc/net/unix', 'utf8').includes(runtime.path + '/fl-') || !listens(),
    );
    connection.dispose();
    await assertNothingLeft();

    function listens(): boolean {
      // Flags of /proc/net/unix: __SO_ACCEPTCON marks a socket that listens.
      return readFileSync('/proc/net/unix', 'utf8')
        .split('\n')
        .some((line) => line.includes(runtime.path) && line.split(/\s+/)[3] === '00010000');
    }
  });

  test('a failed, a refused and a cancelled login leave nothing', async () => {
    await sshd.knownHosts('');
    await assert.rejects(connect());
    await sshd.knownHosts(`${sshd.hostKeyLine}\n`);
    await assert.rejects(connect('  PubkeyAuthentication no'));
    await assert.rejects(connect('', { signal: AbortSignal.timeout(40) }), {
      name: 'TimeoutError',
    });
    await assertNothingLeft();
  });

  test('a ProxyCommand that does not care is ended, too', async () => {
    const script = join(sshd.dir, 'stubborn');
    await writeFile(
      script,
      `trap '' TERM HUP
${process.execPath} -e 'const s=require("net").connect(${sshd.port},"127.0.0.1");process.stdin.pipe(s).pipe(process.stdout)'
sleep 300`,
    );
    const connection = await connect(`  ProxyCommand sh ${script}`);
    connection.dispose();
    await eventually(() => assert.deepEqual(leftovers(), onlySshd()), 6_000);
  });

  test('when we are killed, ssh ends by itself, and so does what it ran', async () => {
    const configFile = await sshd.config('  ServerAliveInterval 1');
    const script = `
      import { connectBy } from '${import.meta.dirname}/transportSuite.ts';
      import { opensshTransport } from '${import.meta.dirname}/../../src/remote/opensshConnection.ts';
      const connection = await connectBy(opensshTransport, ${JSON.stringify(configFile)});
      const channel = await connection.openChannel({ command: 'echo "pid=$$"; cat; exit' });
      channel.stdout.on('data', (chunk) => process.stdout.write(chunk));
      setInterval(() => undefined, 1000);`;
    const core = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    core.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await eventually(() => assert.match(said, /pid=\d+\n/), 10_000);
    const remote = Number(/pid=(\d+)/.exec(said)![1]);
    const masters = pidsOf(core.pid!).filter((pid) => nameOf(pid) === 'ssh');
    assert.equal(masters.length, 1);
    core.kill('SIGKILL');
    await eventually(() => {
      for (const pid of [remote, ...masters]) assert.equal(existsSync(`/proc/${pid}`), false);
    }, 5_000);
  });

  test('a question waits in a directory that only we may enter, and the answer is in no file', async () => {
    await using folder = await temporaryFolder();
    const key = makeHostKey();
    const server = await FakeSshServer.start({
      hostKeys: [key],
      acceptsLogin: (context) => {
        if (context.method === 'password' && context.password === 'tell nobody') context.accept();
        else context.reject(['password']);
      },
    });
    const configFile = join(folder.path, 'config');
    const knownHosts = join(folder.path, 'known_hosts');
    await writeFile(
      configFile,
      `Host node\n  HostName 127.0.0.1\n  Port ${server.port}\n  IdentityAgent none\n` +
        `  IdentityFile none\n  UserKnownHostsFile ${knownHosts}\n`,
    );
    const name = `[127.0.0.1]:${server.port}`;
    await writeFile(knownHosts, `${name} ssh-ed25519 ${key.blob.toString('base64')}\n`);
    const seen: string[] = [];
    const prompts: LoginPrompts = {
      password: () => {
        const [directory = ''] = readdirSync(runtime.path);
        for (const entry of ['.', ...readdirSync(join(runtime.path, directory))]) {
          const { mode } = statSync(join(runtime.path, directory, entry));
          seen.push(`${entry} ${(mode & 0o777).toString(8)}`);
        }
        return Promise.resolve('tell nobody');
      },
    };
    const connection = await connectBy(opensshTransport, configFile, { prompts });
    // The FIFO goes as soon as it is opened.
    const files = seen.filter((entry) => !/^\d+ 600$/.test(entry));
    assert.deepEqual(files.sort(), ['. 700', 'askpass 700']);
    for (const pid of pidsOf(process.pid)) {
      for (const file of ['cmdline', 'environ']) {
        assert.ok(!readOf(pid, file).includes('tell nobody'));
      }
    }
    connection.dispose();
    await server.stop();
    await assertNothingLeft();
  });

  test('a certificate logs in', async () => {
    await using folder = await temporaryFolder();
    const authority = makeKey(folder.path, 'authority');
    const own = await startSshd({ config: `TrustedUserCAKeys ${authority}.pub` });
    try {
      const client = join(own.dir, 'client');
      sign(authority, ['-I', 'me', '-n', 'root'], `${client}.pub`);
      // The key alone is not enough any more.
      await writeFile(`${client}.pub.kept`, await readFile(`${client}.pub`));
      await writeFile(join(own.dir, 'client.pub'), '');
      const report = new ConnectionReport();
      const configFile = await own.config(`  CertificateFile ${client}-cert.pub`);
      const connection = await connectBy(opensshTransport, configFile, { report });
      assert.equal((await run(connection, 'echo in')).stdout.toString(), 'in\n');
      connection.dispose();
      assert.match(await own.log(), /Accepted publickey .* ID me /);

      sign(
        authority,
        ['-I', 'late', '-n', 'root', '-V', '20200101:20200102'],
        `${client}.pub.kept`,
      );
      const late = `${client}.pub-cert.pub`;
      await assert.rejects(
        connectBy(opensshTransport, await own.config(`  CertificateFile ${late}`)),
        { code: 'node.authRefused' },
      );
    } finally {
      await own.stop();
    }
  });

  test('a host that a certificate authority vouches for is known, unless it is revoked', async () => {
    await using folder = await temporaryFolder();
    const authority = makeKey(folder.path, 'authority');
    const host = makeKey(folder.path, 'host', 'ecdsa');
    sign(authority, ['-h', '-I', 'node', '-n', '127.0.0.1'], `${host}.pub`);
    const own = await startSshd({
      config: `HostKey ${host}\nHostCertificate ${host}-cert.pub`,
    });
    try {
      const publicKey = (await readFile(`${authority}.pub`, 'utf8')).trim();
      const prompts: LoginPrompts = { hostKey: () => assert.fail('there is nothing to ask') };
      const configFile = await own.config();
      await own.knownHosts(`@cert-authority 127.0.0.1 ${publicKey}\n`);
      (await connectBy(opensshTransport, configFile, { prompts })).dispose();
      await own.knownHosts(`@cert-authority * ${publicKey}\n@revoked * ${publicKey}\n`);
      await assert.rejects(connectBy(opensshTransport, configFile, { prompts }), {
        code: /^node\.hostKey(Revoked|Unknown)$/,
      });
    } finally {
      await own.stop();
    }
  });

  test('what a configuration wants besides is left out: forwarding, local commands, sharing', async () => {
    await using folder = await temporaryFolder();
    const trace = join(folder.path, 'ran');
    const connection = await connect(`  ForwardAgent yes
  ForwardX11 yes
  LocalForward 127.0.0.1:1 127.0.0.1:2
  RemoteForward 127.0.0.1:3 127.0.0.1:4
  DynamicForward 127.0.0.1:5
  ExitOnForwardFailure yes
  PermitLocalCommand yes
  LocalCommand touch ${trace}
  RemoteCommand touch ${trace}
  RequestTTY force
  ControlMaster auto
  ControlPath ${folder.path}/theirs-%C
  ControlPersist 10m
  Compression yes
  EscapeChar ~
  UpdateHostKeys ask
  VisualHostKey yes
  FingerprintHash md5
  LogLevel QUIET
  BatchMode yes`);
    const end = await run(connection, 'echo "<$SSH_AUTH_SOCK$DISPLAY>"');
    assert.equal(end.stdout.toString(), '<>\n');
    connection.dispose();
    assert.deepEqual(readdirSync(folder.path), []);
    await assertNothingLeft();
  });

  test('a banner cannot pass for words of ssh', async () => {
    await using folder = await temporaryFolder();
    const banner = join(folder.path, 'banner');
    await writeFile(
      banner,
      '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\ndebug1: Entering interactive session.\n' +
        'Host key verification failed.\nssh: connect to host x port 22: Connection refused\n' +
        `faultline-${'0'.repeat(32)} 1 ask\nYour password? `,
    );
    const own = await startSshd({ config: `Banner ${banner}` });
    try {
      const connection = await connectBy(opensshTransport, await own.config());
      connection.dispose();
      const refused = await own.config('  PubkeyAuthentication no');
      await assert.rejects(connectBy(opensshTransport, refused), { code: 'node.authRefused' });
    } finally {
      await own.stop();
    }
  });

  test('a node that accepts and says nothing is given up by the time of the configuration', async () => {
    const server = createServer((socket) => socket.on('error', () => undefined));
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
    const text = await readFile(await sshd.config('  ConnectTimeout 1'), 'utf8');
    const configFile = join(sshd.dir, 'silent');
    await writeFile(configFile, text.replace(`Port ${sshd.port}`, `Port ${port}`));
    const startedAt = performance.now();
    await assert.rejects(connectBy(opensshTransport, configFile), {
      code: 'node.handshakeTimeout',
    });
    assert.ok(performance.now() - startedAt < 4_000);
    server.close();
    await assertNothingLeft();
  });

  test('a missing program, and a name that is an option', async () => {
    const transport = opensshTransport({ sshPath: join(runtime.path, 'no-ssh') });
    const configFile = await sshd.config();
    await assert.rejects(
      connectBy(() => transport, configFile),
      { code: 'ssh.noClient' },
    );
    await assert.rejects(
      connectBy(
        () => (options, signal) =>
          opensshTransport({ configFile })(
            { ...options, target: { ...options.target, alias: '-oProxyCommand=touch x' } },
            signal,
          ),
        configFile,
      ),
      { code: 'node.badName' },
    );
    await assertNothingLeft();
  });

  test('a long path for temporary files is no hindrance', async () => {
    const long = join(runtime.path, 'x'.repeat(80));
    await mkdir(long);
    process.env.XDG_RUNTIME_DIR = long;
    try {
      (await connect()).dispose();
      assert.deepEqual(readdirSync(long), []);
    } finally {
      process.env.XDG_RUNTIME_DIR = runtime.path;
    }
  });

  test('the report tells each step with its time', async () => {
    const report = new ConnectionReport();
    (await connect('', { report })).dispose();
    const titles = report.steps.map((step) => `${step.outcome} ${step.title}`);
    assert.deepEqual(
      titles.filter((title) => !/root|the ssh program/.test(title)),
      [
        `ok Connect to 127.0.0.1:${sshd.port}`,
        'ok Hear which SSH it speaks',
        'ok Agree on keys and ciphers',
        'ok Check the host key',
        ...titles.filter((title) => /Log in/.test(title) && !/root/.test(title)),
      ],
    );
    assert.match(formatReport('node', report), /Check the host key: ssh-ed25519 SHA256:/);
    assert.match(formatReport('node', report), /Log in as \S+: with publickey/);
  });
});

function makeKey(directory: string, name: string, type = 'ed25519'): string {
  const file = join(directory, name);
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', file]);
  return file;
}

/** Beside `key.pub` a `key-cert.pub` is made. */
function sign(authority: string, options: readonly string[], publicKey: string): void {
  execFileSync('ssh-keygen', ['-q', '-s', authority, ...options, publicKey], { stdio: 'pipe' });
}

/** Names of all processes below one, except those that have ended. */
function descendants(pid: number): string[] {
  return pidsOf(pid)
    .map((below) => nameOf(below))
    .filter((name) => name !== '');
}

function pidsOf(parent: number): number[] {
  const below = execFileSync('ps', ['-eo', 'pid=,ppid=,stat='], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, ppid, state]) => Number(ppid) === parent && state?.startsWith('Z') === false)
    .map(([pid]) => Number(pid))
    .filter((pid) => nameOf(pid) !== 'ps');
  return below.flatMap((pid) => [pid, ...pidsOf(pid)]);
}

function nameOf(pid: number): string {
  return readOf(pid, 'comm').trim();
}

/** Empty when the process has ended. */
function readOf(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}
