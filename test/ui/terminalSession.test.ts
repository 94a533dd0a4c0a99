import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import test from 'node:test';
import { UserError } from '../../src/base/errors.ts';
import type { ProcessExit, RemoteTerminal, TerminalOptions } from '../../src/remote/shell.ts';
import { TerminalSession } from '../../src/ui/terminalSession.ts';
import { eventually } from '../fakes/eventually.ts';

/** The node's end of a terminal. */
class FakeTerminal implements RemoteTerminal {
  readonly output = new PassThrough();
  readonly typed: string[] = [];
  readonly sizes: TerminalOptions[] = [];
  isDisposed = false;
  end!: (exit: ProcessExit) => void;
  readonly exited = new Promise<ProcessExit>((resolve) => {
    this.end = resolve;
  });
  write(data: string): void {
    this.typed.push(data);
  }
  resize(size: TerminalOptions): void {
    this.sizes.push(size);
  }
  dispose(): void {
    this.isDisposed = true;
    this.output.destroy();
    this.end({ exitCode: undefined, signal: undefined });
  }
  exit(exitCode: number): void {
    this.output.end();
    this.end({ exitCode, signal: undefined });
  }
  lose(): void {
    this.output.destroy();
    this.end({ exitCode: undefined, signal: undefined });
  }
}

interface Rig {
  readonly session: TerminalSession;
  readonly terminals: FakeTerminal[];
  readonly ends: number[];
  screen: string;
}

/** A session whose connections are made by `open`; the default is a terminal at once. */
function rig(open?: (count: number) => Promise<RemoteTerminal>): Rig {
  const terminals: FakeTerminal[] = [];
  let count = 0;
  const session = new TerminalSession({
    node: 'web-1',
    open: () => {
      if (open !== undefined) return open(++count);
      terminals.push(new FakeTerminal());
      return Promise.resolve(terminals.at(-1)!);
    },
  });
  const made: Rig = { session, terminals, ends: [], screen: '' };
  session.onDidWrite((text) => (made.screen += text));
  session.onDidEnd((code) => made.ends.push(code));
  return made;
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what is typed goes to the node, what it prints to the screen, and its exit code ends it', async () => {
  const made = rig();
  made.session.open({ columns: 100, rows: 30 });
  made.session.input('ls\r');
  await settled();
  const [terminal] = made.terminals;
  assert.deepEqual(terminal?.typed, ['ls\r']);
  made.session.input('x');
  assert.deepEqual(terminal?.typed, ['ls\r', 'x']);
  made.session.resize({ columns: 50, rows: 10 });
  assert.deepEqual(terminal?.sizes, [
    { columns: 100, rows: 30 },
    { columns: 50, rows: 10 },
  ]);
  for (const byte of Buffer.from('é漢 \u001b]0;fake\u0007$ '))
    terminal.output.write(Buffer.of(byte));
  terminal.exit(3);
  await eventually(() => assert.deepEqual(made.ends, [3]));
  assert.equal(made.screen, 'é漢 $ ');
  assert.ok(terminal.isDisposed);
});

test('a lost connection is said, cleans up the screen, and comes back with Enter', async () => {
  const made = rig();
  made.session.open(undefined);
  await settled();
  made.terminals[0]!.output.write('\u001b[?1049h\u001b[?1000h');
  await settled();
  made.terminals[0]!.lose();
  await eventually(() => assert.match(made.screen, /lost\. Press Enter to reconnect\.\r\n$/));
  assert.ok(made.screen.includes('\u001b[?1047l') && made.screen.includes('\u001b[?1000l'));
  assert.deepEqual(made.ends, []);
  made.session.input('q');
  assert.equal(made.terminals.length, 1);
  made.session.input('\r');
  await settled();
  assert.equal(made.terminals.length, 2);
  made.session.input('x');
  assert.deepEqual(made.terminals[1]!.typed, ['x']);
  made.terminals[1]!.exit(0);
  await eventually(() => assert.deepEqual(made.ends, [0]));
});

test('why a connection could not be made stays on the screen, and Enter tries again', async () => {
  const later = new FakeTerminal();
  const made = rig((count) =>
    count === 1
      ? Promise.reject(
          new UserError('node.refused', 'web-1 refused\u001b[2J it.', { hint: 'Start sshd.' }),
        )
      : Promise.resolve(later),
  );
  made.session.open(undefined);
  await eventually(() =>
    assert.match(made.screen, /refused‹ESC›\[2J it\. Start sshd\. Press Enter to try again\./),
  );
  made.session.input('\r');
  await settled();
  later.output.write('hello');
  await eventually(() => assert.match(made.screen, /hello$/));
  made.session.close();
});

test('a connection that takes a while is said to be under way, on a line that is given back', async () => {
  const terminal = new FakeTerminal();
  const made = rig(async () => {
    await new Promise((resolve) => setTimeout(resolve, 450));
    return terminal;
  });
  made.session.open(undefined);
  await eventually(() => assert.equal(made.screen, 'Connecting to web-1…'));
  await eventually(() => assert.equal(made.screen, 'Connecting to web-1…\r\u001b[K'));
  made.session.close();
  assert.ok(terminal.isDisposed);
});

test('a terminal that is closed while it connects leaves nothing open and says nothing', async () => {
  const terminal = new FakeTerminal();
  let connected!: (terminal: RemoteTerminal) => void;
  const made = rig(() => new Promise((resolve) => (connected = resolve)));
  made.session.open(undefined);
  made.session.close();
  connected(terminal);
  await settled();
  assert.ok(terminal.isDisposed);
  assert.equal(made.screen, '');
  assert.deepEqual(made.ends, []);
});

test('a background child that keeps the output open does not keep the terminal', async () => {
  const made = rig();
  made.session.open(undefined);
  await settled();
  made.terminals[0]!.output.write('bye');
  made.terminals[0]!.end({ exitCode: 0, signal: undefined });
  await eventually(() => assert.deepEqual(made.ends, [0]));
  assert.equal(made.screen, 'bye');
});

test('a flood is passed on in pieces, and the node is held back meanwhile', async () => {
  const made = rig();
  made.session.open(undefined);
  await settled();
  const { output } = made.terminals[0]!;
  const chunk = Buffer.alloc(64 << 10, 'y');
  for (let count = 0; count < 64; count++) output.write(chunk);
  await settled();
  assert.ok(made.screen.length < 2 << 20, `${made.screen.length} characters at once`);
  await eventually(() => assert.equal(made.screen.length, 4 << 20));
  made.terminals[0]!.exit(0);
  await eventually(() => assert.deepEqual(made.ends, [0]));
});
