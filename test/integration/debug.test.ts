import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { DebugClient } from '@vscode/debugadapter-testsupport';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { UserError } from '../../src/base/errors.ts';
import type { SessionHost } from '../../src/debug/session.ts';
import { sshConnector } from '../../src/remote/connect.ts';
import type { Node, NodeAccess } from '../../src/remote/node.ts';
import { parseNodeUri, readFile } from '../../src/remote/nodeFiles.ts';
import { NodeRegistry } from '../../src/remote/nodeRegistry.ts';
import { combineNodes, readSettings } from '../../src/remote/settings.ts';
import { planLaunch, type LaunchPlan } from '../../src/run/launchPlan.ts';
import type { RunHead } from '../../src/run/runRecord.ts';
import { findRun, listRuns } from '../../src/run/runStore.ts';
import { TestEditor } from '../debug/debugClient.ts';
import { eventually } from '../fakes/eventually.ts';
import { LocalNodes } from '../fakes/localNodes.ts';
import { startSshd } from '../fakes/sshd.ts';
import { startFleet } from '../fleet/fleet.ts';

const directory = mkdtempSync(join(tmpdir(), 'faultline-debug-'));
const nodes = new LocalNodes({ 'work-2': {} });
let editors: TestEditor[] = [];

test.afterEach(async () => {
  await Promise.all(editors.map((editor) => editor.session.end()));
  editors = [];
});

test.after(() => {
  nodes.dispose();
  rmSync(directory, { recursive: true, force: true });
});

/** Writes a program; gives its path. */
function program(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, text, { mode: 0o755 });
  return file;
}

function uri(file: string): string {
  return `faultline://work-2${file}`;
}

function plan(argv: readonly string[], changes: Partial<LaunchPlan> = {}): LaunchPlan {
  return {
    node: 'work-2',
    parent: 'r-20261122T061754-3fa9c1d2',
    contextId: undefined,
    argv,
    cwd: directory,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', SHOP_REGION: 'eu é', LINES: 'two\nlines' },
    umask: '0027',
    limits: { nofile: [777, 4096] },
    python: '/usr/bin/python3',
    failedAt: undefined,
    ...changes,
  };
}

function open(planned: LaunchPlan | Error, access: NodeAccess = nodes): TestEditor {
  const resolvePlan: SessionHost['resolvePlan'] = () =>
    planned instanceof Error ? Promise.reject(planned) : Promise.resolve(planned);
  const editor = new TestEditor({ access, resolvePlan });
  editors.push(editor);
  return editor;
}

const run = { run: 'r-20261122T061754-3fa9c1d2' };

/** As an editor's own type of launch arguments allows. */
function request(): DebugProtocol.LaunchRequestArguments & typeof run {
  return run;
}

const settle = program(
  'settle.py',
  `import os, resource, sys

def price(order):
    prices = {'pear': 2, 'text': 'é'}
    return prices[order]

def main():
    print('cwd', os.getcwd())
    print('argv', sys.argv[1:])
    print('env', {k: os.environ[k] for k in sorted(os.environ) if not k.startswith('PY')})
    print('umask %o' % os.umask(0))
    print('nofile', resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    print('to stderr', file=sys.stderr)
    price(sys.argv[1])

main()
`,
);

test('a failed run stops again at the failing frame, with its variables', async () => {
  const editor = open(plan(['/usr/bin/python3', 'settle.py', 'plum', '', 'a b', "'$x"]));
  // The editor's filters are off: a reopened run stops at its failure all the same.
  await editor.run(run, []);
  const stop = await editor.stopped();
  assert.equal(stop.reason, 'exception');
  // The protocol comes over the channel: nothing listens on this machine, not even while it debugs.
  const listening = process.getActiveResourcesInfo().filter((name) => name.includes('Server'));
  assert.deepEqual(listening, []);

  const [frame, caller] = await editor.frames(stop.threadId!);
  assert.equal(frame?.name, 'price');
  assert.equal(frame.line, 5);
  assert.equal(frame.source?.name, 'settle.py');
  assert.equal(frame.source.path, uri(settle));
  assert.equal(caller?.name, 'main');

  const locals = await editor.locals(frame.id);
  assert.equal(locals['order'], "'plum'");
  const { body } = await editor.evaluateRequest({
    expression: "sorted(prices) + [prices['text']]",
    frameId: frame.id,
    context: 'repl',
  });
  assert.equal(body.result, "['pear', 'text', 'é']");
  const info = await editor.exceptionInfoRequest({ threadId: stop.threadId! });
  assert.equal(info.body.exceptionId, 'KeyError');

  await editor.continueRequest({ threadId: stop.threadId! });
  await editor.ended();
  assert.deepEqual(editor.events('exited')[0]?.body, { exitCode: 1 });

  const stdout = editor.output('stdout');
  assert.match(stdout, new RegExp(`^cwd ${directory}$`, 'm'));
  assert.match(stdout, /^argv \['plum', '', 'a b', "'\$x"\]$/m);
  assert.match(
    stdout,
    /^env \{'LC_ALL': 'C.UTF-8', 'LINES': 'two\\nlines', 'PATH': '\/usr\/bin:\/bin', 'SHOP_REGION': 'eu é'\}$/m,
  );
  assert.match(stdout, /^umask 27$/m);
  assert.match(stdout, /^nofile 777$/m);
  assert.match(editor.output('stderr'), /to stderr\n[^]*KeyError: 'plum'/);
  assert.match(
    editor.output('console'),
    /^Started on work-2 with \/usr\/bin\/python3, under debugpy/,
  );
});

test('a module is started as a module, a text as a text', async () => {
  program('mod.py', 'import sys\nprint(__name__, sys.argv[1:], sys.flags.dont_write_bytecode)\n');
  const module = open(plan(['python3', '-B', '-m', 'mod', '-m', 'x']));
  await module.run(run);
  await module.ended();
  assert.match(module.output('stdout'), /^__main__ \['-m', 'x'\] 1$/m);

  const text = open(plan(['python3', '-c', 'import sys\nprint(sys.argv[1:])', 'a']));
  await text.run(run);
  await text.ended();
  assert.match(text.output('stdout'), /^\['a'\]$/m);
});

test('a script that pip installed runs in the recorded interpreter', async () => {
  const script = program('shopctl', '#!/usr/bin/env python3\nimport sys\nprint(sys.argv)\n1/0\n');
  const editor = open(plan([script, 'now']));
  await editor.run(run);
  const stop = await editor.stopped();
  const [frame] = await editor.frames(stop.threadId!);
  assert.equal(frame?.line, 4);
});

test('breakpoints of the node are hit, those of other places are said to be elsewhere', async () => {
  const file = program('loop.py', 'for i in range(3):\n    print(i)\n');
  const editor = open(plan(['python3', file]));
  await editor.run(run, undefined, [
    { source: { path: uri(file) }, breakpoints: [{ line: 2, condition: 'i == 1' }] },
  ]);
  const stop = await editor.stopped();
  const [frame] = await editor.frames(stop.threadId!);
  assert.deepEqual([frame?.line, (await editor.locals(frame!.id))['i']], [2, '1']);
  const other = await editor.setBreakpointsRequest({
    source: { path: 'faultline://work-3/loop.py' },
    breakpoints: [{ line: 2 }],
  });
  assert.deepEqual(other.body.breakpoints, [
    { verified: false, line: 2, message: 'This file is on work-3.' },
  ]);
});

test('sys.exit() is no failure to stop at, unless asked for', async () => {
  const file = program('leave.py', 'import sys\nprint("leaving")\nsys.exit(3)\n');
  const editor = open(plan(['python3', file]));
  await editor.run(run);
  await editor.ended();
  assert.deepEqual(editor.events('stopped'), []);
  assert.deepEqual(editor.events('exited')[0]?.body, { exitCode: 3 });

  const asking = open(plan(['python3', file]));
  await asking.run(run, ['systemExit']);
  const stop = await asking.stopped();
  assert.equal((await asking.frames(stop.threadId!))[0]?.line, 3);
});

test('files in the working directory do not get in the way of the debugger', async () => {
  program('select.py', 'raise SystemError("imported by mistake")\n');
  program('debugpy.py', 'raise SystemError("imported by mistake")\n');
  const file = program('fine.py', 'print("fine")\n');
  const editor = open(plan(['python3', '-I', file]));
  await editor.run(run);
  await editor.ended();
  rmSync(join(directory, 'select.py'));
  rmSync(join(directory, 'debugpy.py'));
  assert.match(editor.output('stdout'), /^fine$/m);
});

test('another program runs plainly: output by stream, exit code', async () => {
  const editor = open(
    plan(['sh', '-c', 'pwd; echo "$SHOP_REGION"; umask; echo oops >&2; exit 3'], {
      python: undefined,
    }),
  );
  await editor.run(run);
  await editor.ended();
  assert.equal(editor.output('stdout'), `${directory}\neu é\n0027\n`);
  assert.equal(editor.output('stderr'), 'oops\n');
  assert.deepEqual(editor.events('exited')[0]?.body, { exitCode: 3 });
  assert.equal(editor.events('terminated').length, 1);
});

test('a Python program without debugger runs plainly, and can be restarted', async () => {
  const file = program('wait.py', 'import time\nprint("up", flush=True)\ntime.sleep(60)\n');
  const editor = open(plan(['python3', file]));
  await editor.run({ ...run, noDebug: true });
  await eventually(() => assert.equal(editor.output('stdout'), 'up\n'));
  await editor.restartRequest({});
  await eventually(() => assert.equal(editor.output('stdout'), 'up\nup\n'));
  assert.deepEqual(editor.events('terminated'), []);
  await editor.terminateRequest();
  await editor.ended();
  assert.deepEqual(processes(file), []);
});

/** Pids of processes with this text in their command line, except those that look for it. */
function processes(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
      } catch {
        // Ended meanwhile.
        return false;
      }
    })
    .map(Number);
}

/** Processes of a debugger that this file started, and not of another test run on this machine. */
function debuggers(): number[] {
  return processes('/debugpy/').filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(directory);
    } catch {
      // Ended meanwhile.
      return false;
    }
  });
}

/** A Python program that resists: it ignores SIGTERM and has a child that left its group and session. */
const stubborn = program(
  'stubborn.py',
  `import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, 'child'], start_new_session=True)
    print('up', flush=True)
time.sleep(60)
`,
);

for (const noDebug of [false, true]) {
  const how = noDebug ? 'a plain program' : 'a debugged program';

  test(`disconnecting leaves nothing of ${how}`, async () => {
    const editor = open(plan(['python3', stubborn]));
    await editor.run({ ...run, noDebug });
    await eventually(() => assert.match(editor.output('stdout'), /up/), 10_000);
    const before = Date.now();
    await editor.disconnectRequest();
    assert.ok(Date.now() - before < 5000);
    assert.deepEqual(processes(stubborn), []);
    assert.deepEqual(debuggers(), []);
  });

  test(`a lost connection leaves nothing of ${how}`, async () => {
    const lossy = new LocalNodes({ 'work-2': {} });
    const editor = open(plan(['python3', stubborn]), lossy);
    await editor.run({ ...run, noDebug });
    await eventually(() => assert.match(editor.output('stdout'), /up/), 10_000);
    lossy.dispose();
    await eventually(() => assert.deepEqual(processes(stubborn), []), 5000);
    await editor.ended();
  });
}

test('an editor that goes away during the start leaves nothing', async () => {
  const editor = open(plan(['python3', stubborn]));
  await editor.initializeRequest();
  const launched = editor.launchRequest(request());
  launched.catch(() => undefined);
  await eventually(() => assert.notDeepEqual(debuggers(), []), 10_000);
  await editor.disconnectRequest();
  await assert.rejects(launched);
  await eventually(() => assert.deepEqual(debuggers(), []), 5000);
  assert.deepEqual(editor.events('initialized'), []);
});

test('what keeps a program from starting is said in one sentence', async () => {
  const cases: readonly (readonly [LaunchPlan | Error, object, RegExp])[] = [
    [
      plan(['python3', 'x.py'], { cwd: '/srv/absent' }),
      run,
      /cannot start on work-2: the directory/,
    ],
    [plan(['python3', 'x.py'], { node: 'gone' }), run, /There is no node named "gone"\./],
    [plan(['python3', 'x.py'], { python: '/opt/absent/python3' }), run, /\/opt\/absent\/python3/],
    [new UserError('run.notFound', 'There is no run r-1.'), run, /^There is no run r-1\.$/],
    [plan(['x']), { node: 'work-2' }, /needs one of "run", "program"/],
  ];
  for (const [planned, configuration, message] of cases) {
    const editor = open(planned);
    await editor.initializeRequest();
    await assert.rejects(editor.launchRequest(configuration), ({ message: text }: Error) => {
      assert.match(text, message);
      return true;
    });
  }
});

test('a program that is not there is said to be missing', async () => {
  const editor = open(plan(['/srv/absent/tool'], { python: undefined }));
  await editor.run(run);
  await editor.ended();
  assert.match(
    editor.output('console'),
    /cannot start on work-2: \/srv\/absent\/tool: there is no such/,
  );
});

test('a program can be started without a recorded run', async () => {
  const file = program(
    'explicit.py',
    'import os, sys\nprint(sys.argv[1:], os.environ["EXTRA"], os.getcwd())\n',
  );
  const editor = open(new Error('no run is asked for'));
  await editor.run({
    node: 'work-2',
    program: file,
    args: ['1'],
    python: '/usr/bin/python3',
    env: { EXTRA: 'yes' },
    cwd: '/',
  });
  await editor.ended();
  assert.match(editor.output('stdout'), /^\['1'\] yes \/$/m);
});

test('an interpreter that debugpy is not made for: its own words are passed on', async () => {
  const broken = program(
    'python3',
    '#!/bin/sh\n[ "$1" = -c ] && exit 1\necho "no modules here" >&2; exit 1\n',
  );
  const editor = open(plan([broken, 'settle.py'], { python: broken }));
  await editor.initializeRequest();
  await assert.rejects(editor.launchRequest(request()), ({ message }: Error) => {
    assert.match(message, /^debugpy could not start the program: .*no modules here/);
    assert.match(message, /install debugpy for it, or reopen the run without debugger\.$/);
    return true;
  });
});

test('a virtual environment without debugpy is debugged with that of the node', async () => {
  const venv = join(directory, 'venv');
  execFileSync('/usr/bin/python3', ['-m', 'venv', '--without-pip', venv]);
  const file = program(
    'venv.py',
    `import importlib.util, sys
print(sys.prefix, [p for p in sys.path if 'dist-packages' in p], sys.path[0])
print([name for name in ('debugpy', 'six') if importlib.util.find_spec(name)])
1/0
`,
  );
  const editor = open(plan([`${venv}/bin/python3`, file], { python: `${venv}/bin/python3` }));
  await editor.run(run);
  const stop = await editor.stopped();
  assert.equal((await editor.frames(stop.threadId!))[0]?.line, 4);
  assert.match(editor.output('stdout'), new RegExp(`^${venv} \\[\\] ${directory}$`, 'm'));
});

/** An interpreter whose debugpy is a fake: its adapter does what FAKE says. */
function fakeInterpreter(): string {
  const adapter = join(directory, 'fake/debugpy/adapter');
  mkdirSync(adapter, { recursive: true });
  writeFileSync(join(directory, 'fake/debugpy/__init__.py'), '__version__ = "0.fake"\n');
  writeFileSync(join(directory, 'fake/debugpy/__main__.py'), '');
  writeFileSync(
    join(adapter, '__main__.py'),
    `import json, os, signal, subprocess, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
seq = 0
def send(**message):
    global seq
    seq += 1
    body = json.dumps(dict(message, seq=seq)).encode()
    sys.stdout.buffer.write(b'Content-Length: %d\\r\\n\\r\\n' % len(body) + body)
    sys.stdout.buffer.flush()
if os.environ['FAKE'] == 'hostile':
    touch = ['touch', os.environ['MARK']]
    send(type='request', command='runInTerminal', arguments={'args': touch, 'cwd': '/', 'kind': 'integrated'})
    send(type='request', command='startDebugging', arguments={
        'request': 'launch', 'configuration': {'type': 'node', 'program': touch[1]}})
    send(type='event', event='debugpyAttach', body={'connect': {'port': 1}})
    send(type='event', event='output', body={'category': 'console', 'output': 'all sent\\n'})
subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', __file__], start_new_session=True)
while True:
    time.sleep(60)
`,
  );
  return program(
    'fakepython3',
    `#!/bin/sh\nPYTHONPATH=${directory}/fake exec /usr/bin/python3 "$@"\n`,
  );
}

test('an adapter on the node that asks for programs on this machine gets none', async () => {
  const python = fakeInterpreter();
  const mark = join(directory, 'never');
  const env = { PATH: '/usr/bin:/bin', FAKE: 'hostile', MARK: mark };
  const editor = open(plan(['python3', 'settle.py'], { python, env }));
  await editor.initializeRequest();
  const launched = editor.launchRequest(request());
  launched.catch(() => undefined);
  await eventually(() => assert.match(editor.output('console'), /all sent/), 10_000);
  assert.match(editor.output('console'), /Refused: .* to do "runInTerminal"/);
  assert.match(editor.output('console'), /Refused: .* to do "startDebugging"/);
  assert.deepEqual(
    editor.messages.filter(({ type }) => type === 'request'),
    [],
  );
  assert.deepEqual(editor.events('debugpyAttach'), []);
  await editor.disconnectRequest();
  await assert.rejects(launched);
  assert.equal(existsSync(mark), false);
});

test('an adapter that hangs, deaf to signals, is gone all the same', async () => {
  const python = fakeInterpreter();
  const env = { PATH: '/usr/bin:/bin', FAKE: 'hang' };
  const adapter = join(directory, 'fake/debugpy/adapter');
  const editor = open(plan(['python3', 'settle.py'], { python, env }));
  await editor.initializeRequest();
  const launched = editor.launchRequest(request());
  launched.catch(() => undefined);
  await eventually(() => assert.equal(processes(`${adapter}/__main__.py`).length, 1), 10_000);
  await editor.disconnectRequest();
  await assert.rejects(launched);
  await eventually(() => assert.deepEqual(processes(adapter), []), 5000);
});

test('the adapter is a program of its own, too', async (t) => {
  const client = new DebugClient(
    process.execPath,
    join(import.meta.dirname, '../../src/debug/main.ts'),
    'faultline',
  );
  client.defaultTimeout = 30_000;
  await client.start();
  t.after(() => client.stop());
  const file = program('alone.py', 'print("alone")\n1/0\n');
  const stopped = client.waitForEvent('stopped', 30_000);
  await Promise.all([
    client.configurationSequence(),
    client.launch({ node: 'local', program: file, python: '/usr/bin/python3' }),
  ]);
  const { body } = (await stopped) as DebugProtocol.StoppedEvent;
  assert.equal(body.reason, 'exception');
});

/** Nodes reached over real SSH. */
async function sshAccess(configFile: string, known: readonly Node[]): Promise<NodeRegistry> {
  const registry = new NodeRegistry(
    sshConnector(
      () => ({ configFile }),
      () => ({}),
    ),
  );
  registry.setNodes(known);
  return registry;
}

test('over SSH: the failing frame, a clean end, and nothing left by a lost connection', async (t) => {
  const sshd = await startSshd();
  t.after(() => sshd.stop());
  const node: Node = { name: 'work-2', host: 'node', labels: [], logs: [], origin: 'settings' };
  const registry = await sshAccess(await sshd.config(), [node]);
  t.after(() => registry.dispose());

  const editor = open(plan(['python3', 'settle.py', 'plum']), registry);
  await editor.run(run);
  const stop = await editor.stopped();
  const [frame] = await editor.frames(stop.threadId!);
  assert.deepEqual([frame?.name, frame?.line], ['price', 5]);
  assert.equal((await editor.locals(frame!.id))['order'], "'plum'");
  await editor.continueRequest({ threadId: stop.threadId! });
  await editor.ended();
  assert.deepEqual(editor.events('exited')[0]?.body, { exitCode: 1 });
  await editor.disconnectRequest();

  for (const noDebug of [false, true]) {
    const disconnected = open(plan(['python3', stubborn]), registry);
    await disconnected.run({ ...run, noDebug });
    await eventually(() => assert.match(disconnected.output('stdout'), /up/), 10_000);
    await disconnected.disconnectRequest();
    assert.deepEqual(processes(stubborn), []);

    const lost = open(plan(['python3', stubborn]), registry);
    await lost.run({ ...run, noDebug });
    await eventually(() => assert.match(lost.output('stdout'), /up/), 10_000);
    const shell = await registry.shell(node);
    const { stdout } = await shell.exec({ script: 'echo $PPID' });
    process.kill(Number(stdout.toString()), 'SIGKILL');
    await lost.ended();
    assert.match(lost.output('console'), /The connection to work-2 was lost\./);
    await eventually(() => assert.deepEqual(processes(stubborn), []), 5000);
  }
});

test(
  'a run that failed in the demo fleet is reopened where it failed',
  { timeout: 180_000 },
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'faultline-debug-fleet-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const fleet = await startFleet({ dir });
    t.after(() => fleet.stop());
    const settings = await readSettings(fleet.settingsFile, true);
    const known = await combineNodes(settings.nodes, fleet.sshConfigFile);
    const registry = await sshAccess(fleet.sshConfigFile, known);
    t.after(() => registry.dispose());

    const reopened = new Set<string>();
    for (const name of ['work-2', 'work-3']) {
      const node = known.find((candidate) => candidate.name === name)!;
      const head = await failedRun(registry, node);
      const { record } = await findRun(registry, [node], head.run);
      const editor = open(planLaunch(record, node.name), registry);
      await editor.run({ run: record.id });
      const stop = await editor.stopped();
      const [frame] = await editor.frames(stop.threadId!);
      const failed = record.exception?.frames.at(-1);
      assert.deepEqual([frame?.name, frame?.line], [failed?.function, failed?.line], name);
      const info = await editor.exceptionInfoRequest({ threadId: stop.threadId! });
      assert.equal(info.body.exceptionId, record.exception?.type);

      const address = parseNodeUri(frame?.source?.path ?? '');
      assert.equal(address?.node, name);
      const source = await readFile(await registry.shell(node), address.path);
      assert.ok(
        source
          .toString()
          .split('\n')
          [frame!.line - 1]?.includes(failed?.code ?? ''),
      );
      await editor.disconnectRequest();
      reopened.add(`${record.exception?.type}`);
    }
    assert.equal(reopened.size, 2, 'the two nodes fail in different ways');
  },
);

async function failedRun(access: NodeAccess, node: Node): Promise<RunHead> {
  for (;;) {
    const { runs } = await listRuns(access, [node], { failedOnly: true });
    if (runs[0] !== undefined) return runs[0];
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
