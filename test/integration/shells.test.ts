// Whatever the login shell is, what we send arrives byte for byte and nothing in it is executed.

import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile as readLocalFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runTerminalCommand } from '../../src/debug/runTerminal.ts';
import { encodeText } from '../../src/remote/command.ts';
import { listDirectory, readFile, statFile } from '../../src/remote/nodeFiles.ts';
import type { PooledShell } from '../../src/remote/pooledShell.ts';
import { runRecorded } from '../../src/run/rerun.ts';
import {
  loginShells,
  startAccountNode,
  testNode,
  type AccountNode,
  type LoginShell,
} from '../fakes/accountNode.ts';
import { eventually } from '../fakes/eventually.ts';
import { canary, payloads } from '../fakes/payloads.ts';
import { temporaryFolder } from '../fakes/temporaryFolder.ts';
import { whyNoNamespaces } from '../fleet/namespaces.ts';

const python = '/usr/bin/python3';
const folder = await temporaryFolder();
await chmod(folder.path, 0o755);
const shells = await loginShells(folder.path);
const whyNot = await whyNoNamespaces();
const values = Object.values(payloads);

/** What a file system takes as a name. */
const names = values.filter((value) => value !== '').map((value) => value.slice(0, 255));

/** Prints its directory, its environment and its arguments, each after its length. */
const reporter = `
import os, sys
for part in os.getcwdb(), open('/proc/self/environ', 'rb').read(), open('/proc/self/cmdline', 'rb').read():
    sys.stdout.buffer.write(b'%d\\n' % len(part) + part)
`;

describe('login shells', { skip: whyNot ?? false }, () => {
  let node: AccountNode;
  before(async () => {
    const found = shells.filter((shell) => shell.path !== undefined);
    const files = Object.fromEntries([['report.py', reporter]]);
    node = await startAccountNode({
      accounts: found.map(({ name, path }) => ({ name: `fl-${name}`, shell: path ?? '', files })),
    });
    for (const { name } of found) await makeFiles(join(node.home(`fl-${name}`), 'names'));
  });
  after(async () => {
    await node.stop();
    await folder[Symbol.asyncDispose]();
  });

  test('a variable that cannot be is one sentence', async () => {
    const shell = await node.connect('fl-bash');
    for (const name of ['', '=ls', 'a=b']) {
      const request = { argv: ['/bin/true'], env: { [name]: 'value' } };
      await assert.rejects(runReporter(shell, request), {
        code: 'run.cannotStart',
        message:
          `The run cannot start on node: the variable '${name}' cannot be set: ` +
          'its name or value is not valid.',
      });
    }
    const env = { LARGEST: `${passableEnvironment['LARGEST']}x` };
    await assert.rejects(runReporter(shell, { argv: ['/bin/true'], env }), {
      message: /^faultline: cannot run \/bin\/true: Argument list too long\n\n\n126 !== 0/,
    });
    shell.dispose();
  });

  for (const { name, path } of shells) {
    describe(name, { skip: path === undefined && `${name} is not installed` }, () => {
      payloadTests({ name, path }, () => node);
    });
  }
});

/** Files and directories, each with a payload as its name, and a file in the deepest directory of all of them. */
async function makeFiles(directory: string): Promise<void> {
  const bytes = (path: string): Buffer => encodeText(path);
  await mkdir(directory);
  for (const [index, name] of names.entries()) {
    await writeFile(bytes(join(directory, name)), `file ${index}`);
  }
  await mkdir(bytes(deepDirectory(directory)), { recursive: true });
}

/** A directory below directories, whose names are all the payloads. */
const deepDirectory = (directory: string): string => [`${directory}-deep`, ...names].join('/');

function payloadTests({ name, path }: LoginShell, node: () => AccountNode): void {
  let shell: PooledShell;
  let home: string;
  before(async () => {
    shell = await node().connect(`fl-${name}`);
    home = node().home(`fl-${name}`);
  });
  after(async () => {
    shell.dispose();
    assert.deepEqual(await findCanaries(Buffer.from(home)), []);
  });

  test('is the login shell', async () => {
    const { stdout } = await shell.exec({ script: 'getent passwd "$(id -u)"' });
    assert.equal(stdout.toString().trim().split(':')[6], path);
  });

  for (const guard of [false, true]) {
    test(`arguments${guard ? ' of a guarded program' : ''}`, async () => {
      const script = `printf '%s\\0' "$@"`;
      const program = await shell.start({ script, args: values }, { guard });
      if (!guard) program.stdin.end();
      const stdout = Buffer.concat((await program.stdout.toArray()) as Buffer[]);
      program.dispose();
      assert.deepEqual(stdout, joined(values));
    });
  }

  test('a script of any text', async () => {
    const script = `printf '%s' 'it'"'"'s \\ ! $(printf y) é\n\t*{a,b}^'`;
    const { stdout } = await shell.exec({ script });
    assert.equal(stdout.toString(), "it's \\ ! $(printf y) é\n\t*{a,b}^");
  });

  test('file names', async () => {
    const directory = join(home, 'names');
    const listed = await listDirectory(shell, directory);
    const sorted = (list: readonly string[]): string[] => [...list].sort();
    assert.deepEqual(sorted(listed.map((entry) => entry.name)), sorted(names));
    for (const [index, file] of names.entries()) {
      const content = `file ${index}`;
      const [stat, bytes] = await Promise.all([
        statFile(shell, `${directory}/${file}`),
        readFile(shell, `${directory}/${file}`),
      ]);
      assert.deepEqual([stat.kind, stat.size, bytes.toString()], ['file', content.length, content]);
    }
  });

  test('directory, environment and arguments of a recorded run', async () => {
    const cwd = deepDirectory(join(home, 'names'));
    const run = await runReporter(shell, {
      argv: [python, '-I', '-S', join(home, 'report.py'), ...values],
      cwd,
      env: hostileEnvironment,
    });
    assert.deepEqual(run.cwd, encodeText(cwd));
    assert.deepEqual(run.argv.subarray(-joined(values).length), joined(values));
    assert.deepEqual(run.env, environmentOf(hostileEnvironment));
  });

  test('directory and environment of the terminal of a run', async () => {
    const cwd = deepDirectory(join(home, 'names'));
    const env = {
      ...passableEnvironment,
      HOME: home,
      SHELL: path ?? '',
      PATH: '/usr/bin:/bin',
      // In another locale fish itself changes what is not ASCII.
      LC_ALL: 'C.UTF-8',
    };
    const command = runTerminalCommand({
      cwd: { logical: cwd, physical: cwd },
      umask: '0027',
      env: { ...env, ENV: `$(touch ${canary})`, BASH_ENV: `$(touch ${canary})` },
    });
    const terminal = await shell.openTerminal({ columns: 80, rows: 24 }, command);
    const shown: Buffer[] = [];
    terminal.output.on('data', (chunk: Buffer) => shown.push(chunk));
    terminal.write(`exec ${python} -I -S ${home}/report.py >${home}/terminal\r`);
    await eventually(async () => {
      await terminal.exited;
      assert.ok(
        (await readLocalFile(join(home, 'terminal'))).length > 0,
        String(Buffer.concat(shown)),
      );
    }, 10_000);
    const run = parseReport(await readLocalFile(join(home, 'terminal')));
    assert.deepEqual(run.cwd, encodeText(cwd));
    for (const [variable, value] of environmentOf(env)) {
      assert.equal(run.env.get(variable), value, Buffer.from(variable, 'hex').toString());
    }
  });
}

interface Reported {
  readonly cwd: Buffer;
  /** Names and values in hexadecimal digits, so that a difference can be read. */
  readonly env: ReadonlyMap<string, string>;
  readonly argv: Buffer;
}

async function runReporter(
  shell: PooledShell,
  request: Parameters<typeof runRecorded>[2],
): Promise<Reported> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const output = {
    onStdout: (chunk: Buffer) => void stdout.push(chunk),
    onStderr: (chunk: Buffer) => void stderr.push(chunk),
  };
  const { exitCode } = await runRecorded(shell, testNode, request, output);
  assert.equal(exitCode, 0, String(Buffer.concat(stderr)));
  return parseReport(Buffer.concat(stdout));
}

function parseReport(report: Buffer): Reported {
  const parts: Buffer[] = [];
  for (let rest = report; rest.length > 0;) {
    const lineEnd = rest.indexOf(10);
    const end = lineEnd + 1 + Number(rest.toString('latin1', 0, lineEnd));
    parts.push(rest.subarray(lineEnd + 1, end));
    rest = rest.subarray(end);
  }
  const [cwd, env, argv] = parts;
  assert.ok(cwd !== undefined && env !== undefined && argv !== undefined, 'the report is whole');
  const pairs = env
    .toString('latin1')
    .split('\0')
    .slice(0, -1)
    .map((pair) => {
      const at = pair.indexOf('=');
      return [toHex(pair.slice(0, at)), toHex(pair.slice(at + 1))] as const;
    });
  return { cwd, env: new Map(pairs), argv };
}

const toHex = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('hex');
const hex = (text: string): string => encodeText(text).toString('hex');

const environmentOf = (env: Readonly<Record<string, string>>): Map<string, string> =>
  new Map(Object.entries(env).map(([name, value]) => [hex(name), hex(value)]));

const joined = (texts: readonly string[]): Buffer =>
  Buffer.concat(texts.flatMap((text) => [encodeText(text), Buffer.of(0)]));

/** All values under plain names, and the largest one that Linux passes: 128 KiB with its name and its end. */
const passableEnvironment: Readonly<Record<string, string>> = {
  ...Object.fromEntries(values.map((value, index) => [`VALUE_${index}`, value])),
  LARGEST: 'x'.repeat((128 << 10) - 'LARGEST='.length - 1),
  l: 'a name that a script may use',
};

/** The same, and the payloads and what means something to programs as names (B-055). */
const hostileEnvironment: Readonly<Record<string, string>> = {
  ...passableEnvironment,
  ...Object.fromEntries(
    [
      ...values.filter((value) => value !== '' && !value.includes('=')),
      'BASH_FUNC_x%%',
      'A B',
      'IFS',
      'PS4',
      'LD_PRELOAD',
      'BASH_ENV',
      'ENV',
      'NODE_OPTIONS',
      'PYTHONSTARTUP',
      'PATH',
      'HOME',
      'SHELLOPTS',
    ].map((name) => [name, `; touch ${canary}\n$(touch ${canary})`]),
  ),
};

async function findCanaries(directory: Buffer): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true, encoding: 'buffer' })) {
    const path = Buffer.concat([directory, Buffer.from('/'), entry.name]);
    if (entry.name.toString('latin1') === canary) found.push(path.toString());
    else if (entry.isDirectory()) found.push(...(await findCanaries(path)));
  }
  return found;
}
