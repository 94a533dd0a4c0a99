// The inside of the recorder: the exception as the program itself sees it, on every Python of this
// machine, and no trace in the program. Each Python records with its own recorder.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import {
  Workplace,
  probeFolder,
  pythons,
  recordedRun,
  systemPython,
  type Python,
} from '../probe/pythons.ts';

const place = new Workplace();
after(() => place.dispose());

const folder = realpathSync(place.folder);
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const nameOf = ({ version }: Python) => version.join('.');
const isFrom = ({ version }: Python, minor: number) => version[1] >= minor;

/** Prints everything a program could notice a hook by. */
const traces = file(
  'traces.py',
  `import sys, os
me = [(name, value) for name, value in sorted(os.environb.items())]
known = sorted(set(sys.modules) - {'atexit', '_locale'})
custom = getattr(sys.modules.get('sitecustomize'), '__file__', None)
child = os.popen('%s -c "import os,sys; print(sorted(os.environb.items()), sys.path)"' % sys.executable).read()
print(ascii([me, list(os.environ), sys.argv, sys.path, known, custom, child, len(sys.meta_path),
             sorted(sys.path_importer_cache), sorted(os.listdir('/proc/self/fd')), sys.flags,
             sys.excepthook is sys.__excepthook__, sys.stdin.read()]))
`,
);

const nested = file(
  'nested.py',
  `import sys
sys.path.insert(0, ${JSON.stringify(probeFolder)})
sys.dont_write_bytecode = True
def convert(text):
    return int(text)
class Ledger:
    def settle(self, rows):
        try:
            return [convert(row) for row in rows]
        except ValueError as error:
            raise RuntimeError('row \\u20ac of %d' % len(rows)) from error
if '--context' in sys.argv:
    import faultline_probe
    faultline_probe.set_context('req-42')
Ledger().settle(['1', 'x'])
`,
);

for (const [index, python] of pythons().entries()) {
  // Every Python takes the hard case, some of them all: a run costs a quarter of a second of work.
  const isChosen = index < 2 || [6, 8].includes(python.version[1]);

  test(`Python ${nameOf(python)}: the program sees nothing of the hook`, () => {
    mkdirSync(join(folder, 'own'), { recursive: true });
    file('own/sitecustomize.py', 'import sys\nsys.own = True\n');
    const hard = { PYTHONPATH: `${folder}/own:relative::`, LC_ALL: 'C' };
    for (const more of isChosen ? [hard, { LANG: 'C.UTF-8' }] : [hard]) {
      const env = place.env({ A: '1', ...more, Z: '2' });
      const argv = [python.path, traces, 'x'];
      const alone = spawnSync(argv[0]!, argv.slice(1), { env, cwd: folder, input: 'in' });
      const recorded = recordedRun(place, argv, {
        env,
        cwd: folder,
        input: 'in',
        python: python.path,
      });
      assert.notEqual(alone.stdout.length, 0, alone.stderr.toString());
      assert.equal(recorded.stdout, alone.stdout.toString('latin1'));
      assert.equal(recorded.record.interpreter?.version.startsWith(nameOf(python)), true);
      assert.equal(recorded.record.state, 'passed');
    }
  });

  test(`Python ${nameOf(python)}: an uncaught exception comes with its frames`, () => {
    const argv = [python.path, nested, '--context'];
    const end = recordedRun(place, argv, {
      cwd: folder,
      python: python.path,
      env: place.env({ LANG: 'C.UTF-8' }),
    });
    const { exception } = end.record;
    assert.equal(end.exitCode, 1);
    assert.deepEqual(
      [exception?.type, exception?.module, exception?.message, exception?.source],
      ['RuntimeError', 'builtins', 'row \u20ac of 2', 'hook'],
    );
    assert.deepEqual(
      exception?.frames.map(({ file: path, line, function: name, code }) => [
        path,
        line,
        name,
        code,
      ]),
      [
        [nested, 15, '<module>', "Ledger().settle(['1', 'x'])"],
        [nested, 11, 'settle', "raise RuntimeError('row \\u20ac of %d' % len(rows)) from error"],
      ],
    );
    assert.match(
      exception?.traceback ?? '',
      /ValueError.*\n\nThe above exception was the direct cause/,
    );
    assert.match(end.stderr, /RuntimeError: row/);
    assert.equal(end.record.contextId, 'req-42');
    assert.equal(end.record.interpreter?.executable, python.path);
    assert.equal(end.record.interpreter.implementation, 'CPython');
    assert.ok(Object.hasOwn(end.record.packages, 'pip'));
  });

  if (!isChosen) continue;

  test(`Python ${nameOf(python)}: an interrupted program dies as it does alone`, () => {
    const interrupted = file(
      'interrupted.py',
      'def wait():\n    raise KeyboardInterrupt\nwait()\n',
    );
    const alone = spawnSync(python.path, [interrupted]);
    const { record, signal } = recordedRun(place, [python.path, interrupted]);
    assert.equal(signal, alone.signal);
    assert.deepEqual(
      [record.exception?.type, record.exception?.frames.at(-1)?.code, record.exception?.source],
      ['KeyboardInterrupt', 'raise KeyboardInterrupt', 'hook'],
    );
    assert.match(
      record.exception?.traceback ?? '',
      /^Traceback .*\n.*line 3, in <module>\n    wait\(\)/,
    );
  });

  test(`Python ${nameOf(python)}: text that does not compile, and a thread’s exception`, () => {
    const broken = file('broken.py', 'x = 1\nfoo(\n');
    const syntax = recordedRun(place, [python.path, broken], { python: python.path }).record
      .exception;
    assert.equal(syntax?.type, 'SyntaxError');
    assert.equal(syntax.frames.at(-1)?.file, broken);
    assert.equal(syntax.source, 'hook');

    const threaded = file(
      'threaded.py',
      'import sys, threading\ndef work():\n    {}["x"]\n' +
        'thread = threading.Thread(target=work)\nthread.start()\nthread.join()\nsys.exit(int(sys.argv[1]))\n',
    );
    const end = recordedRun(place, [python.path, threaded, '3'], { python: python.path });
    assert.equal(end.exitCode, 3);
    assert.equal(end.record.exception?.type, 'KeyError');
    // Before 3.8 threads have no hook: what they print is read instead.
    assert.equal(end.record.exception.source, isFrom(python, 8) ? 'hook' : 'stderr');
    assert.deepEqual(end.record.exception.frames.at(-1)?.line, 3);
  });
}

test('an exit code is no exception, and a program that catches everything has none', () => {
  const python = systemPython();
  for (const text of ['import sys; sys.exit(3)', 'raise SystemExit(3)', 'import os; os._exit(3)']) {
    const { record } = recordedRun(place, [python, '-c', text]);
    assert.deepEqual([record.exitCode, record.exception, record.state], [3, null, 'failed']);
  }
  const fine =
    'try: 1/0\nexcept ZeroDivisionError: pass\nimport code; code.InteractiveInterpreter().runsource("1/0")';
  const { record } = recordedRun(place, [python, '-c', fine]);
  assert.deepEqual([record.exitCode, record.exception], [0, null]);
});

test('a replaced excepthook, an own process and an ignored PYTHONPATH keep their meaning', () => {
  const python = systemPython();
  const replaced = recordedRun(place, [
    python,
    '-c',
    'import sys\nsys.excepthook = lambda *_: print("mine", file=sys.stderr)\n1/0',
  ]);
  assert.equal(replaced.stderr, 'mine\n');
  assert.deepEqual(
    [replaced.record.exception?.type, replaced.record.exception?.source],
    ['ZeroDivisionError', 'hook'],
  );
  const forked = recordedRun(place, [
    python,
    '-c',
    'import os\nif os.fork() == 0:\n    1/0\nos.wait()\nraise KeyError("parent")',
  ]);
  assert.equal(forked.record.exception?.message, "'parent'");
  const isolated = recordedRun(place, [python, '-I', nested]);
  assert.deepEqual(
    [
      isolated.record.exception?.source,
      isolated.record.exception?.type,
      isolated.record.interpreter,
    ],
    ['stderr', 'RuntimeError', null],
  );
  assert.match(isolated.record.notes.join(), /-I/);
  const wrapped = recordedRun(place, ['sh', '-c', `${python} ${nested}; exit 7`]);
  assert.deepEqual([wrapped.exitCode, wrapped.record.exception?.source], [7, 'stderr']);
});

test('the main thread’s exception is kept although other threads go on until they are killed', () => {
  const program =
    'import os, threading, time\nthreading.Thread(target=lambda: (time.sleep(0.3), os.kill(os.getpid(), 9))).start()\n1/0';
  const { record, signal } = recordedRun(place, [systemPython(), '-c', program]);
  assert.deepEqual([signal, record.exception?.type], ['SIGKILL', 'ZeroDivisionError']);
});

test('a deep recursion is bounded, and an exception that cannot be shown is still named', () => {
  const deep = recordedRun(place, [systemPython(), '-c', 'def f(n): f(n + 1)\nf(0)']).record
    .exception;
  assert.equal(deep?.type, 'RecursionError');
  assert.ok(
    deep.frames.length <= 201 &&
      deep.frames.some((frame) => /frames left out/.test(frame.function)),
  );
  const bad = 'class Bad(Exception):\n    def __str__(self): raise ValueError\nraise Bad';
  const shown = recordedRun(place, [systemPython(), '-c', bad]).record.exception;
  assert.deepEqual(
    [shown?.type, shown?.module, shown?.message],
    ['Bad', '__main__', '<unprintable Bad>'],
  );
});

test('install() records a process from inside: its exception, its exit code, its context', () => {
  const own = (text: string, ...args: readonly string[]) => {
    const program =
      `import sys; sys.dont_write_bytecode = True; sys.path.insert(0, ${JSON.stringify(probeFolder)})\n` +
      `import faultline_probe as probe\n${text}`;
    const path = file('installed.py', program);
    const env = place.env({ API_TOKEN: 'canary-7Zq9-install' });
    const done = spawnSync(systemPython(), [path, ...args], { env, cwd: folder });
    const id = done.stdout.toString().split('\n')[0]!;
    const text_ = place.recordText(id);
    assert.ok(!text_.includes('canary-7Zq9'));
    return {
      ...place.record(id),
      status: done.status,
      stdout: done.stdout.toString(),
      argv0: path,
    };
  };
  const failed = own(
    `print(probe.install('c-1'), flush=True)\nraise KeyError(__import__('os').environ['API_TOKEN'])`,
  );
  assert.deepEqual(
    [failed.status, failed.state, failed.exitCode, failed.contextId, failed.recorder?.mode],
    [1, 'failed', 1, 'c-1', 'install'],
  );
  assert.equal(failed.exception?.frames.at(-1)?.line, 4);
  assert.equal(failed.argv[1], failed.argv0);
  const exited = own('print(probe.install(), flush=True)\nprobe.set_context("c-2")\nsys.exit(4)');
  assert.deepEqual(
    [exited.status, exited.state, exited.exitCode, exited.contextId],
    [4, 'failed', 4, 'c-2'],
  );
  const passed = own(
    'print(probe.install(), flush=True)\ntry: sys.exit(4)\nexcept SystemExit: pass\nsys.exit()',
  );
  assert.deepEqual([passed.status, passed.state, passed.exitCode], [0, 'passed', 0]);
  const logged = own(
    'import logging\nprint(probe.install("c-3"))\nhandler = logging.StreamHandler(sys.stdout)\n' +
      'handler.addFilter(probe.RunFilter())\n' +
      'handler.setFormatter(logging.Formatter("%(run_id)s|%(context_id)s|%(message)s"))\n' +
      'logging.getLogger().addHandler(handler)\nlogging.error("hello")\n',
  );
  assert.ok(logged.stdout.includes(`${logged.id}|c-3|hello\n`));
});

test('under the recorder install() makes no second run', () => {
  const program =
    `import sys; sys.path.insert(0, ${JSON.stringify(probeFolder)}); sys.dont_write_bytecode = True\n` +
    'import faultline_probe as probe\nprint(probe.install("c-9"), probe.current_run())\n';
  const end = recordedRun(place, [systemPython(), '-c', program]);
  assert.equal(end.stdout, `${end.record.id} ${end.record.id}\n`);
  assert.equal(end.record.contextId, 'c-9');
});

test('the hook costs the program’s start less than 10 ms', () => {
  // The work itself, in CPU time, so that a busy machine does not matter.
  const program =
    `import sys, time; sys.path.insert(0, ${JSON.stringify(probeFolder)}); sys.dont_write_bytecode = True\n` +
    'import faultline_probe as probe, statistics, os\n' +
    'def once():\n' +
    '    hook = probe.Hook("r-20260101T000000-00000000")\n' +
    '    text = open(os.path.join(hook.folder, "sitecustomize.py")).read()\n' +
    '    sys.path.insert(0, hook.folder)\n' +
    '    start = time.process_time()\n' +
    '    try: exec(compile(text, "sitecustomize", "exec"), {})\n' +
    '    except ImportError: pass\n' +
    '    cost = time.process_time() - start\n' +
    '    hook.remove()\n' +
    '    return cost\n' +
    'print(statistics.median(once() for _ in range(15)) * 1000)';
  const done = spawnSync(systemPython(), ['-S', '-c', program], { env: place.env() });
  const milliseconds = Number(done.stdout.toString());
  assert.ok(milliseconds > 0 && milliseconds < 10, `${milliseconds} ms ${done.stderr.toString()}`);
});
