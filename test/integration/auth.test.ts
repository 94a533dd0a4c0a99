// Logging in (reliability.md, B-020 to B-025): every kind of key on a real sshd, and questions of every kind
// from a scripted one.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { appendFile, chmod, copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { AuthContext, KeyboardAuthContext } from 'ssh2';
import { UserError } from '../../src/base/errors.ts';
import { sshConnector } from '../../src/remote/connect.ts';
import type { Connection, Transport } from '../../src/remote/connection.ts';
import { ConnectionReport } from '../../src/remote/connectionReport.ts';
import { knownHostsLine } from '../../src/remote/knownHosts.ts';
import { LoginGate } from '../../src/remote/loginGate.ts';
import type {
  LoginPrompts,
  PassphraseQuestion,
  PasswordQuestion,
} from '../../src/remote/loginPrompts.ts';
import type { Node } from '../../src/remote/node.ts';
import { NodeRegistry } from '../../src/remote/nodeRegistry.ts';
import { createSsh2Transport, type Ssh2Deadlines } from '../../src/remote/ssh2Connection.ts';
import type { SshTarget } from '../../src/remote/sshConfig.ts';
import { eventually } from '../fakes/eventually.ts';
import { FakeSshServer, makeHostKey } from '../fakes/fakeSshServer.ts';
import { blob, madeUpKey } from '../fakes/hostKeys.ts';
import { slowAgent, startAgent } from '../fakes/sshAgent.ts';
import { startSshd, type TestSshd } from '../fakes/sshd.ts';
import { sshTarget } from '../fakes/sshTarget.ts';
import { temporaryFolder, type TemporaryFolder } from '../fakes/temporaryFolder.ts';

let folder: TemporaryFolder;
before(async () => {
  folder = await temporaryFolder();
});
after(() => folder[Symbol.asyncDispose]());

interface LoginTestOptions {
  readonly transport?: Transport;
  readonly deadlines?: Partial<Ssh2Deadlines>;
  readonly prompts?: LoginPrompts;
  readonly report?: ConnectionReport;
  readonly gate?: LoginGate;
  readonly signal?: AbortSignal;
}

function logIn(target: SshTarget, options: LoginTestOptions = {}): Promise<Connection> {
  const transport = options.transport ?? createSsh2Transport(options.deadlines);
  return transport(
    {
      node: 'node',
      target,
      resolve: () => Promise.reject(new Error('there are no jump hosts')),
      prompts: options.prompts ?? {},
      acceptedHostKeys: new Set(),
      gate: options.gate ?? new LoginGate(),
      report: options.report ?? new ConnectionReport(),
    },
    options.signal,
  );
}

async function refusalOf(target: SshTarget, options: LoginTestOptions = {}): Promise<UserError> {
  const error = await logIn(target, options).then(
    () => assert.fail('it logged in'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof UserError, String(error));
  return error;
}

/** How the report says one got in. */
async function wayIn(target: SshTarget, options: LoginTestOptions = {}): Promise<string> {
  const report = new ConnectionReport();
  (await logIn(target, { ...options, report })).dispose();
  return report.steps.find(({ title }) => title.startsWith('Log in as'))?.detail ?? '';
}

// --- keys, on a real sshd --------------------------------------------------------------------------------

type KeyType = 'ed25519' | 'rsa' | 'ecdsa-256' | 'ecdsa-384' | 'ecdsa-521';
const keyTypes: readonly KeyType[] = ['ed25519', 'rsa', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521'];

/** Makes a key pair in the folder of the tests; gives the private file. */
function makeKey(name: string, type: KeyType = 'ed25519', passphrase = ''): string {
  const file = join(folder.path, name);
  const [algorithm = '', bits] = type.split('-');
  const size = type === 'rsa' ? ['-b', '2048'] : bits === undefined ? [] : ['-b', bits];
  // One round of the key derivation: it is slow on purpose.
  const rounds = ['-a', '1'];
  const args = [
    '-q',
    '-t',
    algorithm,
    ...size,
    ...rounds,
    '-N',
    passphrase,
    '-C',
    name,
    '-f',
    file,
  ];
  execFileSync('ssh-keygen', args);
  return file;
}

describe('keys', () => {
  let sshd: TestSshd;
  before(async () => {
    sshd = await startSshd({ config: 'MaxAuthTries 6' });
  });
  after(() => sshd.stop());

  const targetOf = (
    identityFiles: readonly string[],
    overrides: Partial<SshTarget> = {},
    own: TestSshd = sshd,
  ): SshTarget =>
    sshTarget({
      alias: 'node',
      port: own.port,
      userKnownHostsFiles: [join(own.dir, 'known_hosts')],
      identityFiles,
      ...overrides,
    });
  const authorize = async (...keyFiles: readonly string[]): Promise<void> => {
    for (const file of keyFiles) {
      await appendFile(join(sshd.dir, 'client.pub'), await readFile(`${file}.pub`));
    }
  };

  for (const type of keyTypes) {
    for (const format of ['RFC4716', 'PEM', 'PKCS8']) {
      test(`an ${type} key in the format ${format}, plain and locked`, async () => {
        const file = makeKey(`${type}-${format}`, type);
        await authorize(file);
        await rm(`${file}.pub`);
        const change = (from: string, to: string): Buffer =>
          execFileSync('ssh-keygen', [
            ...['-q', '-p', '-a', '1', '-m', format, '-P', from, '-N', to, '-f', file],
          ]);
        change('', '');
        assert.equal(await wayIn(targetOf([file])), `with key ${file}`);
        change('', 'correct horse');
        const asked: PassphraseQuestion[] = [];
        const passphrase = (question: PassphraseQuestion): Promise<string> => {
          asked.push(question);
          return Promise.resolve(asked.length === 1 ? 'wrong' : 'correct horse');
        };
        const prompts: LoginPrompts = { passphrase };
        assert.equal(await wayIn(targetOf([file]), { prompts }), `with key ${file}`);
        assert.deepEqual(asked, [
          { keyFile: file, wasWrong: false },
          { keyFile: file, wasWrong: true },
        ]);
      });
    }
  }

  test('an ed25519 key in PKCS#8, as openssl makes it', async () => {
    const file = join(folder.path, 'openssl');
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    const { x = '' } = publicKey.export({ format: 'jwk' });
    const line = blob('ssh-ed25519', Buffer.from(x, 'base64url')).toString('base64');
    await appendFile(join(sshd.dir, 'client.pub'), `ssh-ed25519 ${line}\n`);
    assert.equal(await wayIn(targetOf([file])), `with key ${file}`);
  });

  const badFiles: readonly (readonly [
    name: string,
    make: (file: string) => Promise<unknown> | void,
    reason: RegExp,
  ])[] = [
    [
      'open',
      (file) => copyFile(join(sshd.dir, 'client'), file).then(() => chmod(file, 0o644)),
      /others may read it, mode 0644/,
    ],
    ['empty', (file) => writeFile(file, '', { mode: 0o600 }), /\(empty\)/],
    [
      'huge',
      (file) => writeFile(file, Buffer.alloc(10 << 20), { mode: 0o600 }),
      /larger than 1 MiB/,
    ],
    [
      'putty',
      (file) =>
        writeFile(file, 'PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n', { mode: 0o600 }),
      /key of PuTTY/,
    ],
    [
      'dsa',
      (file) =>
        writeFile(file, '-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n', {
          mode: 0o600,
        }),
      /a DSA key, which nodes no longer accept/,
    ],
    [
      'sk',
      (file) =>
        writeFile(file, openSshKeyFile(madeUpKey('sk-ssh-ed25519@openssh.com', 'a')), {
          mode: 0o600,
        }),
      /a security key \(FIDO\), which only the system’s ssh/,
    ],
    [
      'cert',
      (file) => writeFile(file, 'ssh-ed25519-cert-v01@openssh.com AAAA me\n'),
      /a certificate, which only the system’s ssh/,
    ],
    ['public', (file) => copyFile(join(sshd.dir, 'other.pub'), file), /a public key/],
    ['folder', (file) => mkdirSync(file), /no regular file/],
    ['pipe', (file) => void execFileSync('mkfifo', [file]), /no regular file/],
    [
      'noise',
      (file) => writeFile(file, 'what is this\n', { mode: 0o600 }),
      /of a kind that cannot be read/,
    ],
    [
      'torn',
      async (file) =>
        writeFile(file, (await readFile(join(sshd.dir, 'client'), 'utf8')).slice(0, 200), {
          mode: 0o600,
        }),
      /of a kind that cannot be read/,
    ],
  ];
  for (const [name, make, reason] of badFiles) {
    test(`B-025: an unusable key file is named with its reason: ${name}`, async () => {
      const file = join(folder.path, `bad-${name}`);
      await make(file);
      const startedAt = performance.now();
      const error = await refusalOf(targetOf([file]));
      assert.equal(error.code, 'node.authRefused');
      assert.match(error.message, reason);
      assert.ok(performance.now() - startedAt < 1_500);
      // And it does not keep a good key from being tried.
      assert.match(await wayIn(targetOf([file, join(sshd.dir, 'client')])), /with key .*\/client$/);
    });
  }

  test('B-025: a wrong passphrase is asked for three times, and the login then counts as cancelled', async () => {
    const file = makeKey('locked-thrice', 'ed25519', 'right');
    await authorize(file);
    let asked = 0;
    const passphrase = (): Promise<string> => Promise.resolve(`wrong ${++asked}`);
    const error = await refusalOf(targetOf([file]), { prompts: { passphrase } });
    assert.equal(error.code, 'node.loginCancelled');
    assert.equal(asked, 3);
  });

  test('R-16: a locked key is asked for once for many nodes, and kept; nodes that do not want it do not ask', async () => {
    const file = makeKey('locked-once', 'ed25519', 'right');
    await authorize(file);
    const transport = createSsh2Transport();
    const gate = new LoginGate();
    const kept: string[] = [];
    let asked = 0;
    const prompts: LoginPrompts = {
      passphrase: async () => {
        asked++;
        await new Promise((resolve) => setTimeout(resolve, 100));
        return 'right';
      },
      onDidUnlock: (keyFile, passphrase) => kept.push(`${keyFile} ${passphrase}`),
    };
    const connectAll = async (): Promise<void> => {
      const connections = await Promise.all(
        Array.from({ length: 12 }, () => logIn(targetOf([file]), { transport, gate, prompts })),
      );
      for (const connection of connections) connection.dispose();
    };
    await connectAll();
    await connectAll();
    assert.equal(asked, 1);
    assert.deepEqual(kept, [`${file} right`]);
    // In the background, too, it is at hand now.
    (await logIn(targetOf([file]), { transport })).dispose();

    const unwanted = makeKey('locked-unwanted', 'ed25519', 'right');
    const error = await refusalOf(targetOf([unwanted]), { transport, gate, prompts });
    assert.equal(error.code, 'node.authRefused');
    assert.equal(asked, 1);
  });

  test('a declined passphrase is declined for all nodes that were set going together', async () => {
    const file = makeKey('locked-declined', 'ed25519', 'right');
    await authorize(file);
    const transport = createSsh2Transport();
    const gate = new LoginGate();
    let asked = 0;
    const prompts: LoginPrompts = {
      passphrase: () => {
        asked++;
        return Promise.resolve(asked === 1 ? undefined : 'right');
      },
    };
    const codes = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const error = await refusalOf(targetOf([file]), { transport, gate, prompts });
        return error.code;
      }),
    );
    assert.deepEqual(new Set(codes), new Set(['node.loginCancelled']));
    assert.equal(asked, 1);
    // Whoever tries again is asked again.
    (await logIn(targetOf([file]), { transport, gate, prompts })).dispose();
    assert.equal(asked, 2);
  });

  test('a locked key in the background: nobody is asked, and the hint says what to do', async () => {
    const file = makeKey('locked-background', 'ed25519', 'right');
    await authorize(file);
    const error = await refusalOf(targetOf([file]));
    assert.equal(error.code, 'node.authRefused');
    assert.match(error.message, /key \S+ \(locked\)/);
    assert.match(error.hint ?? '', /connect to it by hand/);
  });

  describe('of an agent', () => {
    for (const type of keyTypes) {
      test(`R-16: an ${type} key`, async () => {
        await using agent = await startAgent(folder.path);
        const file = makeKey(`agent-${type}`, type);
        await authorize(file);
        agent.add(file);
        const target = targetOf([], { agentSocket: agent.socket });
        assert.equal(await wayIn(target), `with agent key agent-${type}`);
      });
    }

    test('B-024, R-16: of 20 keys the right one, with IdentitiesOnly and MaxAuthTries 6', async () => {
      await using agent = await startAgent(folder.path);
      const files = Array.from({ length: 20 }, (_, index) => makeKey(`many-${index}`));
      const right = files.at(-1)!;
      await authorize(right);
      agent.add(...files);
      const transport = createSsh2Transport();
      const all = targetOf([], { agentSocket: agent.socket });
      const error = await refusalOf(all, { transport });
      assert.equal(error.code, 'node.authRefused');
      assert.match(error.message, /agent key many-0, agent key many-1/);
      assert.match(error.hint ?? '', /IdentitiesOnly/);

      await rm(right);
      const only = targetOf([right], { agentSocket: agent.socket, identitiesOnly: true });
      const from = (await sshd.log()).length;
      assert.equal(await wayIn(only, { transport }), 'with agent key many-19');
      assert.doesNotMatch((await sshd.log()).slice(from), /Failed publickey/);
      // What worked once comes first from then on.
      assert.equal(await wayIn(all, { transport }), 'with agent key many-19');
    });

    test('B-024: a locked, a dead and a stuck agent are named, and hold nobody up', async () => {
      await using agent = await startAgent(folder.path);
      const file = makeKey('behind-agent');
      await authorize(file);
      agent.add(file);
      await agent.lock();
      const other = makeKey('not-welcome');
      const dead = join(folder.path, 'dead-agent');
      await using stuck = await unixServer(join(folder.path, 'stuck-agent'));
      const cases = [
        [agent.socket, /the agent \(it is locked or holds no keys\)/],
        [dead, /the agent \(Failed to connect to agent\)/],
        [stuck.path, /the agent \(it does not answer within 0\.3 s\)/],
      ] as const;
      for (const [agentSocket, words] of cases) {
        const deadlines = { agentMs: 300 };
        const error = await refusalOf(targetOf([other], { agentSocket }), { deadlines });
        assert.match(error.message, words);
        const way = await wayIn(targetOf([file], { agentSocket }), { deadlines });
        assert.equal(way, `with key ${file}`);
      }
    });

    test('B-024: an agent that waits for a touch stops the clock', async () => {
      await using agent = await startAgent(folder.path);
      const file = makeKey('touched');
      await authorize(file);
      agent.add(file);
      await using slow = await slowAgent(folder.path, agent.socket, 1_500);
      const target = targetOf([], { agentSocket: slow.socket });
      const startedAt = performance.now();
      assert.equal(
        await wayIn(target, { deadlines: { handshakeMs: 700 } }),
        'with agent key touched',
      );
      assert.ok(performance.now() - startedAt >= 1_500);
    });

    test('B-024: an agent that never signs is given up, and the next key is tried', async () => {
      await using agent = await startAgent(folder.path);
      const [first, second] = [makeKey('never-signed'), makeKey('signed-by-file')];
      await authorize(first, second);
      agent.add(first);
      await using slow = await slowAgent(folder.path, agent.socket, Infinity);
      const target = targetOf([`${first}.gone`, second], { agentSocket: slow.socket });
      await copyFile(`${first}.pub`, `${first}.gone.pub`);
      const deadlines = { signMs: 300 };
      assert.equal(await wayIn(target, { deadlines }), `with key ${second}`);
      const error = await refusalOf(targetOf([], { agentSocket: slow.socket }), { deadlines });
      assert.match(error.message, /agent key never-signed \(it does not answer within 0\.3 s\)/);
    });
  });

  test('R-16, P-19: two keys in a row, the first of an agent', async () => {
    const own = await startSshd({ config: 'AuthenticationMethods publickey,publickey' });
    try {
      await using agent = await startAgent(folder.path);
      const second = makeKey('second-factor');
      await appendFile(join(own.dir, 'client.pub'), await readFile(`${second}.pub`));
      agent.add(join(own.dir, 'client'));
      const target = targetOf([second], { agentSocket: agent.socket }, own);
      const way = await wayIn(target);
      assert.match(way, /^with (?:agent key .*, then key \S+|key \S+, then agent key .*)$/);
      const alone = targetOf([second], {}, own);
      const error = await refusalOf(alone);
      assert.match(error.message, /second-factor \(accepted, but not enough\)/);
    } finally {
      await own.stop();
    }
  });
});

// --- questions, from a scripted server -------------------------------------------------------------------

describe('questions', () => {
  const hostKey = makeHostKey();
  const asked: PasswordQuestion[] = [];
  let answers: (string | undefined)[] = [];
  const prompts: LoginPrompts = {
    password: (question) => {
      asked.push(question);
      return Promise.resolve(answers.shift());
    },
  };
  beforeEach(() => {
    asked.length = 0;
    answers = [];
  });

  interface Scripted extends AsyncDisposable {
    readonly server: FakeSshServer;
    readonly target: SshTarget;
  }
  const scripted = async (
    acceptsLogin: boolean | ((context: AuthContext) => void),
    overrides: Partial<SshTarget> = {},
  ): Promise<Scripted> => {
    const server = await FakeSshServer.start({ hostKeys: [hostKey], acceptsLogin });
    const file = join(folder.path, `known_hosts-${server.port}`);
    await writeFile(file, knownHostsLine(`[127.0.0.1]:${server.port}`, hostKey.blob));
    return {
      server,
      target: sshTarget({
        alias: 'node',
        port: server.port,
        user: 'deploy',
        userKnownHostsFiles: [file],
        ...overrides,
      }),
      [Symbol.asyncDispose]: () => server.stop(),
    };
  };
  /** Lets in by keyboard-interactive alone; `script` decides. */
  const byKeyboard =
    (script: (context: KeyboardAuthContext) => void) =>
    (context: AuthContext): void => {
      if (context.method === 'keyboard-interactive') script(context);
      else context.reject(['keyboard-interactive']);
    };
  const byPassword =
    (right: string) =>
    (context: AuthContext): void => {
      if (context.method === 'password' && context.password === right) context.accept();
      else context.reject(['password']);
    };
  /** Asks the same question again and again; gives how often it was answered. */
  const askForEver = (
    questions: readonly { readonly prompt: string; readonly echo: boolean }[],
  ): { readonly server: (context: AuthContext) => void; readonly answered: () => number } => {
    let answered = 0;
    const again = (context: KeyboardAuthContext): void =>
      context.prompt([...questions], 'x', 'x', () => {
        answered++;
        again(context);
      });
    return { server: byKeyboard(again), answered: () => answered };
  };

  test('R-16: a password, once wrong', async () => {
    await using node = await scripted(byPassword('right'));
    answers = ['wrong', 'right'];
    assert.equal(await wayIn(node.target, { prompts }), 'with password');
    assert.equal(node.server.accepted, 1);
    assert.deepEqual(asked[0], {
      where: 'node',
      text: 'Password of deploy on node',
      echo: false,
      isFromNode: false,
    });
  });

  test('R-16, B-021: keyboard-interactive in two rounds, in the node’s words, made harmless', async () => {
    await using node = await scripted(
      byKeyboard((context) => {
        context.prompt(
          [{ prompt: 'Sudo password for your laptop: ', echo: false }],
          'Login',
          '\u001b]0;title\u0007\u202eDuo\r\n 1. Push\r\n 2. Phone\r\n',
          ([password]) => {
            if (password !== 'hunter2') return context.reject();
            context.prompt(
              [
                { prompt: `Code ${'x'.repeat(1_000)}`, echo: true },
                { prompt: '\u200b\n', echo: false },
              ],
              '',
              '',
              ([code, nothing]) => {
                if (code === '42' && nothing === '') context.accept();
                else context.reject();
              },
            );
          },
        );
      }),
    );
    answers = ['hunter2', '42', ''];
    assert.equal(await wayIn(node.target, { prompts }), 'with keyboard-interactive');
    assert.deepEqual(
      asked.map(({ text, echo, isFromNode }) => [text.slice(0, 90), echo, isFromNode]),
      [
        [
          '‹ESC›]0;title‹BEL›‹U+202E›Duo 1. Push 2. Phone Sudo password for your laptop: ',
          false,
          true,
        ],
        [`Code ${'x'.repeat(85)}`, true, true],
        ['‹U+200B› ', false, true],
      ],
    );
    assert.ok(asked[1]!.text.length <= 257);
  });

  test('R-16: a key and then a code; the report tells of both', async () => {
    const keyFile = makeKey('first-of-two');
    let hasKey = false;
    await using node = await scripted(
      (context) => {
        if (context.method === 'publickey') {
          if (context.signature === undefined) return context.accept();
          hasKey = true;
          return context.reject(['keyboard-interactive'], true);
        }
        if (!hasKey || context.method !== 'keyboard-interactive') {
          return context.reject(['publickey']);
        }
        context.prompt([{ prompt: 'Code: ', echo: false }], '', '', ([code]) => {
          if (code === '42') context.accept();
          else context.reject(['keyboard-interactive']);
        });
      },
      { identityFiles: [keyFile] },
    );
    answers = ['41', '42'];
    const way = await wayIn(node.target, { prompts });
    assert.equal(way, `with key ${keyFile}, then keyboard-interactive`);
    const error = await refusalOf(node.target);
    assert.match(error.message, /tried: key \S+ \(accepted, but not enough\)\)/);
    assert.match(error.hint ?? '', /by hand/);
  });

  test('B-020: 50 rounds of keyboard-interactive are cut short', async () => {
    const script = askForEver([{ prompt: 'Again: ', echo: false }]);
    await using node = await scripted(script.server);
    answers = Array.from({ length: 50 }, () => 'x');
    const error = await refusalOf(node.target, { prompts });
    assert.equal(error.code, 'node.tooManyQuestions');
    assert.equal(asked.length, 10);
    await eventually(() => assert.equal(node.server.sockets.size, 0));
  });

  test('B-020: 200 prompts at once are not asked', async () => {
    const many = Array.from({ length: 200 }, (_, index) => ({ prompt: `${index}`, echo: true }));
    await using node = await scripted(askForEver(many).server);
    const error = await refusalOf(node.target, { prompts });
    assert.equal(error.code, 'node.tooManyQuestions');
    assert.equal(asked.length, 0);
  });

  test('B-020: rounds of no prompts, without end, are ended by the deadline', async () => {
    await using node = await scripted(askForEver([]).server);
    const error = await refusalOf(node.target, { prompts, deadlines: { handshakeMs: 400 } });
    assert.equal(error.code, 'node.handshakeTimeout');
    assert.equal(asked.length, 0);
  });

  test('B-020: a prompt of no words', async () => {
    await using node = await scripted(
      byKeyboard((context) => {
        context.prompt([{ prompt: '', echo: true }], '', '', ([answer]) => {
          if (answer === 'yes') context.accept();
          else context.reject();
        });
      }),
    );
    answers = ['yes'];
    await wayIn(node.target, { prompts });
    assert.deepEqual(
      asked.map(({ text, echo }) => [text, echo]),
      [['(it does not say for what)', true]],
    );
  });

  test('B-022: a node that wants a new password is one sentence', async () => {
    await using node = await scripted((context) => {
      if (context.method !== 'password') return context.reject(['password']);
      context.requestChange('Your password has expired', () => context.reject());
    });
    answers = ['old'];
    const error = await refusalOf(node.target, { prompts });
    assert.equal(error.code, 'node.passwordExpired');
    assert.match(error.hint ?? '', /^Change it in a terminal: ssh node$/);
  });

  test('B-023: a node that lets in anybody is said to do so', async () => {
    await using node = await scripted(true);
    assert.equal(await wayIn(node.target), 'the node asked for no authentication');
    assert.deepEqual(node.server.loginRequests, ['none']);
  });

  for (const [title, server] of [
    ['a password', byPassword('x')],
    [
      'a code',
      byKeyboard((context) =>
        context.prompt([{ prompt: 'Code', echo: true }], '', '', () => {
          throw new Error('a cancelled question has no answer');
        }),
      ),
    ],
  ] as const) {
    test(`cancelling ${title} ends the login at once, with nothing sent`, async () => {
      await using node = await scripted(server);
      const error = await refusalOf(node.target, { prompts });
      assert.equal(error.code, 'node.loginCancelled');
      assert.equal(asked.length, 1);
      await eventually(() => assert.equal(node.server.sockets.size, 0));
      assert.ok(node.server.loginRequests.every((method) => method !== 'password'));
    });
  }

  test('a question that takes longer than the deadlines is no trouble', async () => {
    await using node = await scripted(byPassword('x'));
    const slow: LoginPrompts = {
      password: async () => {
        await new Promise((resolve) => setTimeout(resolve, 900));
        return 'x';
      },
    };
    await wayIn(node.target, { prompts: slow, deadlines: { handshakeMs: 300 } });
  });

  test('a node that hangs up while somebody is asked: the sentence says so', async () => {
    await using node = await scripted(byPassword('x'));
    const patient: LoginPrompts = {
      password: async () => {
        for (const socket of node.server.sockets) socket.destroy();
        await new Promise((resolve) => setTimeout(resolve, 100));
        return 'x';
      },
    };
    const error = await refusalOf(node.target, { prompts: patient });
    assert.equal(error.code, 'node.answeredTooLate');
    assert.equal(node.server.accepted, 1);
  });

  test('B-008: a node that hangs up on the answer is not asked again by itself', async () => {
    await using node = await scripted((context) => {
      if (context.method !== 'password') return context.reject(['password']);
      for (const socket of node.server.sockets) socket.resetAndDestroy();
    });
    answers = ['x', 'x', 'x'];
    const error = await refusalOf(node.target, { prompts });
    assert.equal(error.code, 'node.loginCut');
    assert.equal(asked.length, 1);
  });

  test('questions of ten nodes do not keep an eleventh from logging in', async () => {
    const gate = new LoginGate();
    const abort = new AbortController();
    let open = 0;
    const pending: LoginPrompts = {
      password: () => {
        open++;
        return new Promise(() => undefined);
      },
    };
    const asking = await Promise.all(Array.from({ length: 10 }, () => scripted(byPassword('x'))));
    const tried = asking.map((node) =>
      logIn(node.target, { gate, prompts: pending, signal: abort.signal }).catch(
        (error: unknown) => error,
      ),
    );
    await eventually(() => assert.equal(open, 10));
    await using free = await scripted(true);
    (await logIn(free.target, { gate })).dispose();
    abort.abort();
    for (const end of await Promise.all(tried)) assert.equal((end as Error).name, 'AbortError');
    for (const node of asking) {
      await eventually(() => assert.equal(node.server.sockets.size, 0));
      await node.server.stop();
    }
    // Every place is free again.
    const again = Array.from({ length: 12 }, () => logIn(free.target, { gate }));
    for (const connection of await Promise.all(again)) connection.dispose();
  });

  test('no more than five connections that have not logged in, at one sshd', async () => {
    let waiting = 0;
    let most = 0;
    await using node = await scripted((context) => {
      if (context.method === 'none') {
        most = Math.max(most, ++waiting);
        setTimeout(() => {
          waiting--;
          context.accept();
        }, 30);
      }
    });
    const gate = new LoginGate();
    const all = Array.from({ length: 20 }, () => logIn(node.target, { gate }));
    for (const connection of await Promise.all(all)) connection.dispose();
    assert.equal(most, 5);
  });

  // --- R-11 ---------------------------------------------------------------------------------------------

  interface Registered extends AsyncDisposable {
    readonly registry: NodeRegistry;
    readonly node: Node;
  }
  /** A registry that would come back at once, if it did. */
  const registered = async (
    port: number,
    identityFile: string,
    answersTo: LoginPrompts,
  ): Promise<Registered> => {
    const configFile = join(folder.path, `config-${port}`);
    const knownHosts = join(folder.path, `known_hosts-${port}`);
    await writeFile(knownHosts, knownHostsLine(`[127.0.0.1]:${port}`, hostKey.blob));
    await writeFile(
      configFile,
      `Host node\n  HostName 127.0.0.1\n  Port ${port}\n  IdentityFile ${identityFile}\n` +
        `  IdentityAgent none\n  UserKnownHostsFile ${knownHosts}\n  GlobalKnownHostsFile none\n`,
    );
    const node: Node = { name: 'node', host: 'node', labels: [], logs: [], origin: 'settings' };
    const connectNode = sshConnector(
      () => ({ configFile }),
      () => answersTo,
    );
    const registry = new NodeRegistry(connectNode, { random: () => 0 });
    registry.setNodes([node]);
    return {
      registry,
      node,
      [Symbol.asyncDispose]: () => {
        registry.dispose();
        return Promise.resolve();
      },
    };
  };

  for (const [title, keyFile, methods] of [
    ['key', 'wrong-key', ['publickey']],
    ['password', 'none', ['password']],
  ] as const) {
    test(`R-11: after a wrong ${title} nothing is tried again by itself`, async (t) => {
      const identity = keyFile === 'none' ? 'none' : makeKey(keyFile);
      const tried: string[] = [];
      await using node = await scripted((context) => {
        tried.push(context.method);
        context.reject([...methods]);
      });
      answers = ['1', '2', '3', '4', '5'];
      await using known = await registered(node.server.port, identity, prompts);
      await assert.rejects(known.registry.shell(known.node), { code: 'node.authRefused' });
      const loginsOnce = tried.length;
      await known.registry.wake();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await known.registry.wake();
      assert.equal(known.registry.state(known.node).kind, 'failed');
      assert.equal(node.server.accepted, 1);
      assert.equal(tried.length, loginsOnce);
      assert.ok(asked.length <= 3);
      t.diagnostic(`1 connection, tried: ${tried.join(', ')}; then 0 by itself`);
    });
  }

  test('R-11: a login that is refused after a loss is tried once, and not again', async () => {
    let isWelcome = true;
    await using node = await scripted((context) => {
      if (isWelcome) context.accept();
      else context.reject(['publickey', 'password']);
    });
    await using known = await registered(node.server.port, 'none', prompts);
    await known.registry.shell(known.node);
    isWelcome = false;
    for (const socket of node.server.sockets) socket.destroy();
    await eventually(() => assert.equal(known.registry.state(known.node).kind, 'failed'));
    const { accepted } = node.server;
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(node.server.accepted, accepted);
    assert.equal(accepted, 2);
    assert.equal(asked.length, 0, 'nobody is asked in the background');
  });

  test('R-11: an sshd that bans who fails too often (OpenSSH 9.8) never has to', async (t) => {
    await using node = await scripted((context) => context.reject(['password']));
    const guard = await penalizing(node.server);
    answers = Array.from({ length: 20 }, (_, index) => `wrong ${index}`);
    await using known = await registered(guard.port, 'none', prompts);
    // The user tries, and tries again twice; the rest is up to us.
    for (let times = 0; times < 3; times++) {
      await assert.rejects(known.registry.shell(known.node), { code: 'node.authRefused' });
      await known.registry.wake();
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    t.diagnostic(`${guard.failures()} failed connections, ${guard.banned()} banned`);
    assert.deepEqual([guard.failures(), guard.banned()], [3, 0]);
    await guard.stop();
  });
});

/**
 * As PerSourcePenalties of OpenSSH 9.8: a connection that ends after a failed login costs 5 s, and who has 15 s or more
 * left is turned away.
 */
async function penalizing(behind: FakeSshServer): Promise<{
  readonly port: number;
  readonly failures: () => number;
  readonly banned: () => number;
  readonly stop: () => Promise<void>;
}> {
  let until = 0;
  let failures = 0;
  let banned = 0;
  const server: Server = createServer((client) => {
    client.on('error', () => undefined);
    if (until - performance.now() >= 15_000) {
      banned++;
      client.end('Not allowed at this time\r\n');
      return;
    }
    const inner = connect(behind.port, '127.0.0.1');
    inner.on('error', () => undefined);
    client.pipe(inner).pipe(client);
    const before = behind.loginRequests.length;
    client.on('close', () => {
      inner.destroy();
      if (behind.loginRequests.length === before) return;
      failures++;
      until = Math.max(until, performance.now()) + 5_000;
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  return {
    port: (server.address() as { port: number }).port,
    failures: () => failures,
    banned: () => banned,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}

/** A private key file in OpenSSH's format with this public key, and nothing of use besides. */
function openSshKeyFile(publicBlob: Buffer): string {
  const string = (bytes: Buffer | string): Buffer => blob('', Buffer.from(bytes)).subarray(4);
  const one = Buffer.of(0, 0, 0, 1);
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...['none', 'none', ''].map(string),
    one,
    string(publicBlob),
    string(Buffer.alloc(64)),
  ]);
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${body.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

/** Accepts on a path and says nothing. */
async function unixServer(path: string): Promise<AsyncDisposable & { readonly path: string }> {
  const server = createServer((socket) => socket.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => {
    server.listen(path, () => resolve());
  });
  return {
    path,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}
