import assert from 'node:assert/strict';
import test from 'node:test';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  KeyRing,
  LoginAttempts,
  type KeyTools,
  type LoginKey,
  type LoginMethod,
} from '../../src/remote/login.ts';
import type { LoginPrompts, PasswordQuestion } from '../../src/remote/loginPrompts.ts';
import type { SshTarget } from '../../src/remote/sshConfig.ts';
import { sshTarget } from '../fakes/sshTarget.ts';
import { temporaryFolder } from '../fakes/temporaryFolder.ts';

/** Key files of one line: `key NAME`, `locked NAME PASSPHRASE` or `secret NAME PASSPHRASE`; `pub NAME` beside them. */
const tools = (agent: readonly string[] = []): KeyTools => ({
  parse: (text, passphrase) => {
    const [kind = '', name = '', right] = text.toString().trim().split(' ');
    if (kind === 'key' || (right !== undefined && passphrase === right)) {
      return { kind: 'key', key: { publicBlob: Buffer.from(name), sign: () => Buffer.from(name) } };
    }
    return kind === 'locked' ? { kind: 'locked' } : { kind: 'unusable', reason: 'odd' };
  },
  parsePublic: (text) => {
    const [kind, name = ''] = text.toString().trim().split(' ');
    return kind === 'pub' ? Buffer.from(name) : undefined;
  },
  agentKeys: () => Promise.resolve(agent.map(agentKey)),
});

const agentKey = (name: string): LoginKey => ({
  publicBlob: Buffer.from(name),
  title: `agent key ${name}`,
  sign: () => Promise.resolve(Buffer.from(name)),
});

interface Script {
  readonly files?: Readonly<Record<string, string>>;
  readonly agent?: readonly string[];
  readonly target?: Partial<SshTarget>;
  readonly prompts?: LoginPrompts;
  readonly lastKey?: string;
  readonly keyRing?: KeyRing;
  readonly startedAt?: number;
}

/** Offers everything to a node that refuses it all but asks for `methods`; gives what was offered. */
async function offered(
  methods: readonly string[],
  script: Script,
): Promise<{ readonly attempts: LoginAttempts; readonly list: string[] }> {
  await using folder = await temporaryFolder();
  for (const [name, text] of Object.entries(script.files ?? {})) {
    await writeFile(join(folder.path, name), text, { mode: 0o600 });
  }
  const names = Object.keys(script.files ?? {}).filter((name) => !name.endsWith('.pub'));
  const attempts = attemptsOf(script, {
    identityFiles: names.map((name) => join(folder.path, name)),
  });
  const list: string[] = [];
  for (;;) {
    const method = await attempts.next();
    if (method === undefined) break;
    list.push(nameOf(method));
    attempts.onRefused(methods, false);
  }
  return { attempts, list };
}

function attemptsOf(script: Script, overrides: Partial<SshTarget> = {}): LoginAttempts {
  return new LoginAttempts({
    where: 'node',
    target: sshTarget({
      alias: 'node',
      port: 22,
      user: 'deploy',
      agentSocket: script.agent === undefined ? undefined : '/agent',
      ...overrides,
      ...script.target,
    }),
    prompts: script.prompts ?? {},
    tools: tools(script.agent),
    keyRing: script.keyRing ?? new KeyRing(),
    lastKey: script.lastKey === undefined ? undefined : Buffer.from(script.lastKey),
    whilePaused: (question) => question(),
    startedAt: script.startedAt ?? performance.now(),
  });
}

const nameOf = (method: LoginMethod): string =>
  method.type === 'publickey' ? method.key.publicBlob.toString() : method.type;

test('keys in order: those of the agent that are configured, files, the agent’s others', async () => {
  const { list } = await offered(['publickey'], {
    files: { one: 'key one', two: 'key two' },
    agent: ['x', 'two', 'y'],
  });
  assert.deepEqual(list, ['none', 'two', 'one', 'x', 'y']);
});

test('the key that worked before comes first, and nothing is offered twice', async () => {
  const { list } = await offered(['publickey'], {
    files: { one: 'key one', again: 'key one' },
    agent: ['x', 'y', 'one'],
    lastKey: 'y',
  });
  assert.deepEqual(list, ['none', 'y', 'one', 'x']);
});

test('IdentitiesOnly: the agent’s keys that are configured, by their public file alone if need be', async () => {
  const { list } = await offered(['publickey'], {
    files: { one: 'key one', 'two.pub': 'pub two', two: 'pub two' },
    agent: ['x', 'two'],
    target: { identitiesOnly: true },
  });
  assert.deepEqual(list, ['none', 'two', 'one']);
});

test('a locked file that hides its public key is asked for last; one that shows it, when it is wanted', async () => {
  const asked: string[] = [];
  const prompts: LoginPrompts = {
    passphrase: ({ keyFile }) => {
      asked.push(keyFile.split('/').at(-1)!);
      return Promise.resolve('p');
    },
  };
  const { list } = await offered(['publickey'], {
    files: {
      hidden: 'locked hidden p',
      shown: 'locked shown p',
      'shown.pub': 'pub shown',
      plain: 'key plain',
    },
    agent: ['x'],
    prompts,
  });
  assert.deepEqual(list, ['none', 'shown', 'plain', 'x', 'hidden']);
  assert.deepEqual(asked, ['hidden'], 'nobody signed with the other');
});

test('methods that the node does not accept, or the configuration leaves out, are not tried', async () => {
  const prompts: LoginPrompts = { password: () => Promise.resolve('x') };
  const files = { one: 'key one' };
  assert.deepEqual((await offered(['password'], { files, prompts })).list, [
    'none',
    'password',
    'password',
    'password',
  ]);
  const target = { loginMethods: ['publickey'] };
  const all = ['publickey', 'password', 'keyboard-interactive'];
  assert.deepEqual((await offered(all, { files, prompts, target })).list, ['none', 'one']);
});

test('three questions in all, whatever the way; without somebody to ask, none', async () => {
  const prompts: LoginPrompts = { password: () => Promise.resolve('x') };
  const methods = ['keyboard-interactive', 'password'];
  const { list, attempts } = await offered(methods, { prompts });
  assert.equal(list.length, 4);
  assert.equal(attempts.lacksPerson, false);
  const alone = await offered(methods, {});
  assert.deepEqual(alone.list, ['none']);
  assert.equal(alone.attempts.lacksPerson, true);
  assert.equal(alone.attempts.hasSentSecret, false);
});

test('a partial success goes on with what the node wants next, and what was accepted is told', async () => {
  const prompts: LoginPrompts = { password: () => Promise.resolve('x') };
  const attempts = attemptsOf({ agent: ['a', 'b'], prompts });
  const next = async (): Promise<string> => nameOf((await attempts.next())!);
  assert.equal(await next(), 'none');
  attempts.onRefused(['publickey'], false);
  assert.equal(await next(), 'a');
  attempts.onRefused(['publickey', 'password'], true);
  assert.equal(await next(), 'b', 'another key, not the same again');
  attempts.onRefused(['publickey', 'password'], false);
  assert.equal(await next(), 'password');
  assert.equal(attempts.hasSentSecret, true);
  assert.deepEqual(attempts.tried, [
    'agent key a (accepted, but not enough)',
    'agent key b',
    'password',
  ]);
  assert.equal(attempts.way, 'with agent key a, then password');
});

test('a declined password ends the login as cancelled', async () => {
  const attempts = attemptsOf({ prompts: { password: () => Promise.resolve(undefined) } });
  await attempts.next();
  attempts.onRefused(['password'], false);
  await assert.rejects(attempts.next(), { code: 'node.loginCancelled' });
  assert.equal(attempts.wasDeclined, true);
  assert.equal(attempts.hasSentSecret, false);
});

test('the node’s words arrive harmless, on one line, at most 256 characters of each part', async () => {
  const asked: PasswordQuestion[] = [];
  const attempts = attemptsOf({
    prompts: {
      password: (question) => {
        asked.push(question);
        return Promise.resolve('x');
      },
    },
  });
  await attempts.next();
  attempts.onRefused(['keyboard-interactive'], false);
  const method = await attempts.next();
  assert.ok(method?.type === 'keyboard-interactive');
  await method.answer({
    instructions: `\r\n One\u001b[2J\n\n  Two \n${'i'.repeat(1_000)}`,
    questions: [
      { prompt: 'Code: ', echo: true },
      { prompt: ' \n', echo: false },
    ],
  });
  assert.match(asked[0]!.text, /^One‹ESC›\[2J Two i{200,}… Code: $/);
  assert.ok(asked[0]!.text.length <= 264);
  assert.deepEqual(
    asked.map(({ echo, isFromNode, where }) => [echo, isFromNode, where]),
    [
      [true, true, 'node'],
      [false, true, 'node'],
    ],
  );
  await method.answer({ instructions: '', questions: [{ prompt: '', echo: false }] });
  assert.equal(asked.at(-1)!.text, '(it does not say for what)');
  const tooMany = Array.from({ length: 11 }, () => ({ prompt: 'x', echo: true }));
  await assert.rejects(method.answer({ instructions: '', questions: tooMany }), {
    code: 'node.tooManyQuestions',
  });
});

test('a declined passphrase holds for all that were set going before, and for nobody after', async () => {
  const keyRing = new KeyRing();
  let asked = 0;
  const prompts: LoginPrompts = {
    passphrase: () => {
      asked++;
      return Promise.resolve(undefined);
    },
  };
  const startedAt = performance.now();
  const script: Script = { files: { k: 'locked k p' }, prompts, keyRing };
  const first = await offered(['publickey'], { ...script, startedAt });
  assert.deepEqual(first.list, ['none']);
  assert.equal(first.attempts.wasDeclined, true);
  assert.match(first.attempts.tried.join(), /k \(locked\)/);
  assert.equal(asked, 1);
  // The same file: keys are known by their path and text, and each run here has a folder of its own.
  const file = { path: '/k', text: Buffer.from('locked k p'), publicBlob: undefined };
  const unlock = (at: number): Promise<unknown> =>
    keyRing.unlock({ ...file, parsed: { kind: 'locked' } }, tools(), prompts, {
      whilePaused: (question) => question(),
      startedAt: at,
    });
  await unlock(startedAt);
  await unlock(startedAt);
  assert.equal(asked, 2);
  await unlock(performance.now() + 1);
  assert.equal(asked, 3);
});

test('an agent that refuses to sign is named with its reason', async () => {
  const attempts = new LoginAttempts({
    where: 'node',
    target: sshTarget({ alias: 'node', port: 22, agentSocket: '/agent' }),
    prompts: {},
    tools: {
      ...tools(),
      agentKeys: () =>
        Promise.resolve([
          { ...agentKey('a'), sign: () => Promise.reject(new Error('no\u001b touch')) },
        ]),
    },
    keyRing: new KeyRing(),
    lastKey: undefined,
    whilePaused: (question) => question(),
    startedAt: performance.now(),
  });
  await attempts.next();
  attempts.onRefused(['publickey'], false);
  const method = await attempts.next();
  assert.ok(method?.type === 'publickey');
  await assert.rejects(method.key.sign(Buffer.of(), undefined));
  assert.deepEqual(attempts.tried, ['agent key a (no‹ESC› touch)']);
});
