import assert from 'node:assert/strict';
import test from 'node:test';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { PathMap } from '../../src/debug/pathMap.ts';
import { startPythonDebuggee } from '../../src/debug/pythonDebuggee.ts';
import { eventually } from '../fakes/eventually.ts';
import { TestEditor } from './debugClient.ts';
import { answerWell, FakeAdapter, hostOf } from './fakeAdapter.ts';

type Answer = (message: DebugProtocol.Request, adapter: FakeAdapter) => boolean | undefined | void;

/** A session with an adapter that behaves, but for what `answer` does instead. */
function open(answer: Answer = () => undefined): { editor: TestEditor; adapter: FakeAdapter } {
  const adapter = new FakeAdapter((message, self) => {
    if (message.type === 'request' && answer(message, self) !== true) answerWell(message, self);
  });
  return { editor: new TestEditor(hostOf(adapter)), adapter };
}

async function started(answer?: Answer): Promise<{ editor: TestEditor; adapter: FakeAdapter }> {
  const opened = open(answer);
  await opened.editor.run({ run: 'r-1' });
  return opened;
}

/** As an editor's own type of launch arguments allows. */
const run: DebugProtocol.LaunchRequestArguments & object = Object.freeze({ run: 'r-1' });
const nothing: DebugProtocol.LaunchRequestArguments & object = Object.freeze({ node: 'work-2' });

function requests(adapter: FakeAdapter, command: string): DebugProtocol.Request[] {
  return adapter.received.filter(
    (message): message is DebugProtocol.Request & { type: 'request' } =>
      message.type === 'request' && message.command === command,
  );
}

/** Each request of the editor was answered exactly once. */
function assertAnsweredOnce(editor: TestEditor, count: number): void {
  const answered = editor.messages
    .filter((message) => message.type === 'response')
    .map((response) => response.request_seq)
    .sort((a, b) => a - b);
  assert.deepEqual(
    answered,
    Array.from({ length: count }, (_, index) => index + 1),
  );
}

test('debugpy is told exactly what runs, and no path mappings', async () => {
  const { editor, adapter } = open();
  await editor.run({ run: 'r-1', pathMappings: [{ localRoot: '/home/me', remoteRoot: '/srv' }] });
  assert.deepEqual(requests(adapter, 'launch')[0]?.arguments, {
    type: 'python',
    request: 'launch',
    name: 'Faultline',
    python: ['/usr/bin/python3'],
    program: 'settle.py',
    args: [],
    cwd: '/srv/shop',
    console: 'internalConsole',
    redirectOutput: true,
    stopOnEntry: false,
    justMyCode: false,
    subProcess: false,
    showReturnValue: true,
    clientOS: 'unix',
  });
  const [initialize] = requests(adapter, 'initialize');
  assert.equal(
    (initialize?.arguments as Record<string, unknown>)['supportsRunInTerminalRequest'],
    false,
  );
  await editor.disconnectRequest();
  assertAnsweredOnce(editor, 5);
});

const reverseRequests: readonly object[] = [
  {
    type: 'request',
    command: 'runInTerminal',
    arguments: { args: ['touch', '/tmp/never'], cwd: '/' },
  },
  {
    type: 'request',
    command: 'startDebugging',
    arguments: { request: 'launch', configuration: {} },
  },
  { type: 'request', command: 'handshake', arguments: { value: 'x' } },
  { type: 'request', command: '__proto__' },
  { type: 'request', command: 'x'.repeat(10_000) },
  { type: 'request', command: 'runInTerminal', seq: -1 },
  { type: 'request', command: 'runInTerminal', seq: 1 },
];

test('nothing that the adapter asks for reaches the editor', async () => {
  const { editor, adapter } = await started();
  for (const request of reverseRequests) adapter.send(request);
  await eventually(() => {
    const answers = adapter.received.filter(({ type }) => type === 'response');
    assert.equal(answers.length, reverseRequests.length);
    assert.ok(answers.every((answer) => answer.type === 'response' && !answer.success));
  });
  assert.deepEqual(
    editor.messages.filter(({ type }) => type === 'request'),
    [],
  );
  await eventually(() =>
    assert.match(editor.output('console'), /^Refused: .* "runInTerminal"\.$/m),
  );
  await editor.session.end();
});

test('events that start something are not passed on', async () => {
  const { editor, adapter } = await started();
  adapter.event('debugpyAttach', { connect: { host: '127.0.0.1', port: 1 } });
  adapter.event('capabilities', { capabilities: { supportsRestartRequest: true } });
  adapter.event('output', { category: 'telemetry', output: 'x', data: {} });
  adapter.event('__proto__');
  adapter.event('process', { name: 'x', isLocalProcess: true, systemProcessId: 1 });
  adapter.event('terminated', { restart: { run: 'another' } });
  await editor.ended();
  const process = editor.events<DebugProtocol.ProcessEvent>('process')[0];
  assert.equal(process?.body.isLocalProcess, false);
  assert.deepEqual(
    editor.events('terminated').map(({ body }) => body as unknown),
    [undefined],
  );
  const names = editor.messages.flatMap((one) => (one.type === 'event' ? [one.event] : []));
  assert.deepEqual([...new Set(names)].sort(), ['initialized', 'output', 'process', 'terminated']);
  assert.equal(editor.output('telemetry'), '');
  await editor.session.end();
});

test('local files that the adapter names are never opened', async () => {
  const frames = ['/etc/passwd', 'file:///etc/passwd', 'http://evil/x', '\\\\evil\\x', 'command:x'];
  const { editor, adapter } = await started((message, self) => {
    if (message.command !== 'stackTrace') return false;
    self.respond(message, {
      stackFrames: frames.map((path, id) => ({
        id,
        name: 'f',
        line: 1,
        column: 1,
        source: { path },
      })),
    });
    return true;
  });
  const [first, ...others] = await editor.frames(1);
  assert.equal(first?.source?.path, 'faultline://work-2/etc/passwd');
  assert.deepEqual(
    others.map(({ source }) => source?.path),
    [undefined, undefined, undefined, undefined],
  );
  adapter.event('loadedSource', { reason: 'new', source: { name: 'x', path: '/etc/shadow' } });
  await eventually(() => {
    const [loaded] = editor.events<DebugProtocol.LoadedSourceEvent>('loadedSource');
    assert.equal(loaded?.body.source.path, 'faultline://work-2/etc/shadow');
  });
  await editor.session.end();
});

test('a frame in a library is shown like any other: it may be the one that failed', async () => {
  const { editor } = await started((message, self) => {
    if (message.command !== 'stackTrace') return false;
    const source = { path: '/lib/x.py', presentationHint: 'deemphasize' };
    self.respond(message, {
      stackFrames: [
        { id: 1, name: 'f', line: 1, column: 1, source, presentationHint: 'subtle' },
        { id: 2, name: 'external code', line: 0, column: 0, presentationHint: 'label' },
      ],
    });
    return true;
  });
  const [library, label] = await editor.frames(1);
  assert.deepEqual(
    [library?.presentationHint, library?.source?.presentationHint],
    [undefined, 'normal'],
  );
  assert.deepEqual([label?.presentationHint, label?.source], ['label', undefined]);
  await editor.session.end();
});

test('the editor is asked for files of the node by their path there', async () => {
  const { editor, adapter } = await started((message, self) => {
    if (message.command === 'gotoTargets' || message.command === 'source')
      self.respond(message, {});
    return false;
  });
  await editor.gotoTargetsRequest({ source: { path: 'faultline://work-2/srv/a%20b.py' }, line: 1 });
  assert.deepEqual(requests(adapter, 'gotoTargets')[0]?.arguments, {
    source: { path: '/srv/a b.py' },
    line: 1,
  });
  await assert.rejects(
    editor.gotoTargetsRequest({ source: { path: '/home/me/x.py' }, line: 1 }),
    /not on work-2/,
  );
  const held = { path: '<string>', sourceReference: 3 };
  await editor.sourceRequest({ source: held, sourceReference: 3 });
  assert.deepEqual(requests(adapter, 'source')[0]?.arguments, { source: held, sourceReference: 3 });
  await editor.session.end();
});

test('breakpoints of a mapped file and of the same file of the node are one set', async () => {
  const { editor, adapter } = open((message, self) => {
    if (message.command !== 'setBreakpoints') return false;
    const { breakpoints = [] } = message.arguments as DebugProtocol.SetBreakpointsArguments;
    self.respond(message, {
      breakpoints: breakpoints.map(({ line }) => ({
        id: line,
        verified: true,
        line,
        source: { path: '/srv/shop/x.py' },
      })),
    });
    return true;
  });
  await editor.run({
    run: 'r-1',
    pathMappings: [{ localRoot: '/home/me/shop', remoteRoot: '/srv/shop' }],
  });
  const set = async (path: string, lines: readonly number[]): Promise<unknown> => {
    const breakpoints = lines.map((line) => ({ line }));
    return (await editor.setBreakpointsRequest({ source: { path }, breakpoints })).body.breakpoints;
  };
  const verified = (line: number): object => ({ id: line, verified: true, line });
  assert.deepEqual(await set('/home/me/shop/x.py', [1, 2]), [verified(1), verified(2)]);
  assert.deepEqual(await set('faultline://work-2/srv/shop/x.py', [7]), [verified(7)]);
  assert.deepEqual(await set('/home/me/shop/x.py', [3]), [verified(3)]);
  assert.deepEqual(await set('/home/me/elsewhere.py', [1]), [
    { verified: false, line: 1, message: 'No file of work-2 is mapped to this one.' },
  ]);
  const sent = requests(adapter, 'setBreakpoints').map(({ arguments: args }) => {
    const { source, lines } = args as DebugProtocol.SetBreakpointsArguments;
    return [source.path, lines];
  });
  assert.deepEqual(sent, [
    ['/srv/shop/x.py', [1, 2]],
    ['/srv/shop/x.py', [1, 2, 7]],
    ['/srv/shop/x.py', [3, 7]],
  ]);
  await editor.session.end();
});

test('a reopened run stops at its uncaught exception, until the user says otherwise', async () => {
  const filters = (adapter: FakeAdapter): unknown[] =>
    requests(adapter, 'setExceptionBreakpoints').map(
      ({ arguments: args }) => (args as DebugProtocol.SetExceptionBreakpointsArguments).filters,
    );
  const silent = open();
  await silent.editor.run({ run: 'r-1' }, undefined);
  assert.deepEqual(filters(silent.adapter), [['uncaught']]);

  const unticked = open();
  await unticked.editor.run({ run: 'r-1' }, ['raised']);
  await unticked.editor.setExceptionBreakpointsRequest({ filters: [] });
  assert.deepEqual(filters(unticked.adapter), [['raised', 'uncaught'], []]);

  const program = open();
  await program.editor.run({ node: 'work-2', argv: ['python3', 'x.py'] }, []);
  assert.deepEqual(filters(program.adapter), [[]]);
  for (const { editor } of [silent, unticked, program]) await editor.session.end();
});

test('an answer is passed on before the event that came after it', async () => {
  const { editor } = await started((message, self) => {
    if (message.command !== 'continue') return false;
    self.respond(message, { allThreadsContinued: true });
    self.event('stopped', { reason: 'step', threadId: 1 });
    return true;
  });
  await editor.continueRequest({ threadId: 1 });
  await editor.stopped();
  const order = editor.messages
    .map((message) => (message.type === 'event' ? message.event : message.command))
    .filter((name) => name === 'continue' || name === 'stopped');
  assert.deepEqual(order, ['continue', 'stopped']);
  await editor.session.end();
});

test('what the program printed comes before the stop', async () => {
  const { editor, adapter } = await started();
  adapter.event('output', { category: 'stdout', output: 'one ' });
  adapter.event('output', { category: 'stdout', output: 'two\n' });
  adapter.event('stopped', { reason: 'breakpoint', threadId: 1 });
  await editor.stopped();
  assert.equal(editor.output('stdout'), 'one two\n');
  await editor.session.end();
});

test('a flood of output is cut, and the session still answers', async () => {
  const { editor, adapter } = await started((message, self) => {
    if (message.command !== 'threads') return false;
    self.respond(message, { threads: [] });
    return true;
  });
  const text = `${'x'.repeat(99)}\n`;
  for (let round = 0; round < 5_000; round++) {
    adapter.event('output', { category: 'stdout', output: text });
  }
  assert.deepEqual((await editor.threadsRequest()).body.threads, []);
  await eventually(() =>
    assert.match(editor.output('console'), /characters of output were dropped/),
  );
  assert.ok(editor.output('stdout').length < 300_000);
  assert.ok(editor.events('output').length < 500);
  await editor.session.end();
});

test('requests that nobody knows are refused, and never passed on', async () => {
  const { editor, adapter } = await started();
  for (const command of ['attach', 'debugpySystemInfo', 'toString', '__proto__', 'constructor']) {
    await assert.rejects(editor.customRequest(command, {}), /not supported/, command);
    assert.deepEqual(requests(adapter, command), []);
  }
  await editor.session.end();
});

test("the adapter's refusal reaches the editor, without what would act", async () => {
  const { editor } = await started((message, self) => {
    if (message.command !== 'evaluate') return false;
    self.send({
      type: 'response',
      request_seq: message.seq,
      command: 'evaluate',
      success: false,
      message: 'NameError: \u001b]0;x\u0007 {_format}',
      body: { error: { id: 1, format: 'x', url: 'http://evil', showUser: true } },
    });
    return true;
  });
  await assert.rejects(editor.evaluateRequest({ expression: 'x' }), {
    message: 'NameError: ‹ESC›]0;x‹BEL› {_format}',
  });
  const refused = editor.messages.find(
    (message): message is DebugProtocol.ErrorResponse & { type: 'response' } =>
      message.type === 'response' && !message.success,
  );
  assert.equal(refused?.body.error?.showUser, false);
  assert.equal(refused?.body.error?.url, undefined);
  await editor.session.end();
});

const deaths: Readonly<Record<string, (adapter: FakeAdapter) => void>> = {
  'it ends': (adapter) => {
    adapter.stderr.write('Segmentation fault\n');
    adapter.exit(139);
  },
  'the connection is lost': (adapter) => adapter.exit(undefined),
  'it speaks nonsense': (adapter) => void adapter.stdout.write('Content-Length: -1\r\n\r\n'),
  'it announces 2 GB': (adapter) => void adapter.stdout.write('Content-Length: 2147483648\r\n\r\n'),
};

const lastWords: Readonly<Record<string, RegExp>> = {
  'it ends':
    /The debugger on work-2 ended by itself \(exit code 139\)\. Its last words: Segmentation fault/,
  'the connection is lost': /The connection to work-2 was lost\./,
  'it speaks nonsense': /does not speak the Debug Adapter Protocol/,
  'it announces 2 GB': /a frame is larger than 64 MiB/,
};

for (const [name, die] of Object.entries(deaths)) {
  test(`an adapter that is gone ends the session with a reason: ${name}`, async () => {
    const { editor, adapter } = await started();
    const pending = editor.threadsRequest();
    die(adapter);
    await assert.rejects(pending, lastWords[name]!);
    await editor.ended();
    assert.match(editor.output('console'), lastWords[name]!);
    await editor.disconnectRequest();
    assert.ok(adapter.isDisposed);
    assert.equal(editor.events('terminated').length, 1);
    assertAnsweredOnce(editor, 6);
  });

  test(`an adapter that is gone during the start refuses the launch: ${name}`, async () => {
    const { editor } = open((message, self) => {
      if (message.command !== 'launch') return false;
      die(self);
      return true;
    });
    await editor.initializeRequest();
    await assert.rejects(editor.launchRequest(run), lastWords[name]!);
    assertAnsweredOnce(editor, 2);
  });
}

test('answers to nothing, and second answers, change nothing', async () => {
  const { editor, adapter } = await started((message, self) => {
    if (message.command !== 'threads') return false;
    self.respond(message, { threads: [] });
    self.respond(message, { threads: [{ id: 1, name: 'second' }] });
    return true;
  });
  adapter.send({ type: 'response', request_seq: 999, command: 'threads', success: true });
  assert.deepEqual((await editor.threadsRequest()).body.threads, []);
  await editor.disconnectRequest();
  assertAnsweredOnce(editor, 6);
});

test('bodies of the wrong shape do not end the session', async () => {
  const { editor, adapter } = await started((message, self) => {
    self.respond(message, message.command === 'setBreakpoints' ? { breakpoints: 'x' } : 'text');
    return message.command === 'setBreakpoints' || message.command === 'threads';
  });
  adapter.event('output', { category: 7, output: {} });
  adapter.event('output');
  adapter.event('stopped');
  adapter.event('stopped', { reason: 'exception', threadId: {} });
  adapter.event('process');
  const source = { path: 'faultline://work-2/x.py' };
  await assert.rejects(editor.setBreakpointsRequest({ source, breakpoints: [{ line: 1 }] }));
  await editor.threadsRequest();
  await editor.session.end();
});

test('the launch is refused for a configuration that means nothing, and only once tried', async () => {
  const { editor } = open();
  await editor.initializeRequest();
  await assert.rejects(editor.launchRequest(nothing), /needs one of/);
  await assert.rejects(editor.launchRequest(run), /Already launched/);
});

test('before the launch nothing is answered with success but the initialization', async () => {
  const { editor } = open();
  await assert.rejects(editor.threadsRequest(), /has not started yet/);
  await editor.disconnectRequest();
  assertAnsweredOnce(editor, 2);
});

test('a debugger that never gets ready is given up, with its last words', async () => {
  const adapter = new FakeAdapter((message, self) => {
    if (message.type !== 'request') return;
    if (message.command === 'launch') self.stderr.write('still importing\n');
    else answerWell(message, self);
  });
  const { access } = hostOf(adapter);
  const plan = {
    argv: ['python3', 'x.py'],
    cwd: undefined,
    env: {},
    inheritEnv: true,
    umask: undefined,
    limits: undefined,
  };
  const start = startPythonDebuggee(
    await access.shell(access.nodes[0]!),
    {
      node: 'work-2',
      plan,
      program: {
        python: 'python3',
        command: { flags: [], target: { kind: 'program', value: 'x.py' }, args: [] },
      },
      debugpy: { python: 'python3', directory: '/d', version: '1.6', needsNeighbours: false },
      paths: new PathMap('work-2'),
      isReopened: true,
      stopOnEntry: false,
      justMyCode: false,
      startTimeoutMs: 50,
    },
    { event: () => undefined, output: () => undefined, ended: () => undefined },
  );
  await assert.rejects(start, {
    code: 'debug.startTimeout',
    message:
      'debugpy could not start the program: it took more than 0.05 s. Its last words: still importing',
    hint: /^debugpy 1\.6 may not fit the recorded interpreter/,
  });
  assert.ok(adapter.isDisposed);
});
