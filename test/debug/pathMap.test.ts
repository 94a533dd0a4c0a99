import assert from 'node:assert/strict';
import test from 'node:test';
import { PathMap } from '../../src/debug/pathMap.ts';

const here = new PathMap('work-2');
const mapped = new PathMap(
  'work-2',
  [
    { local: '/home/me/shop', remote: '/srv/shop' },
    { local: '/home/me/lib', remote: '/srv/shop/lib' },
  ],
  (path) => !path.includes('absent'),
);

/** The source as it reaches the editor inside a stack trace. */
function seen(source: unknown, map = here): unknown {
  const body = map.sourcesToClient({ stackFrames: [{ id: 1, name: 'f', line: 3, source }] });
  return (body as { stackFrames: { source: unknown }[] }).stackFrames[0]?.source;
}

test('a path of the node is an address in the editor, and back', () => {
  for (const path of ['/srv/shop/settle.py', '/a b/#?%é.py', '//double', '/x/../y', '/bad\udcff']) {
    const uri = here.toClient(path);
    assert.match(uri, /^faultline:\/\/work-2\//);
    assert.deepEqual(here.toNode(uri), { kind: 'here', path });
  }
});

test('a mapped file of the workspace is used, and back', () => {
  assert.equal(mapped.toClient('/srv/shop/shop/settle.py'), '/home/me/shop/shop/settle.py');
  assert.deepEqual(mapped.toNode('/home/me/shop/shop/settle.py'), {
    kind: 'here',
    path: '/srv/shop/shop/settle.py',
  });
});

test('the longest mapping decides', () => {
  assert.equal(mapped.toClient('/srv/shop/lib/x.py'), '/home/me/lib/x.py');
});

test('a mapped file that the workspace lacks opens from the node', () => {
  assert.equal(mapped.toClient('/srv/shop/absent.py'), 'faultline://work-2/srv/shop/absent.py');
});

test('a mapping does not lead out of its directory', () => {
  for (const path of ['/srv/shop/../../etc/passwd', '/srv/shopping/x', '/srv/shop', '/srv', '/']) {
    assert.match(mapped.toClient(path), /^faultline:/, path);
  }
  for (const path of ['/home/me/shop/../.ssh/id', '/home/me/shopping', '/home/me/shop', 'shop/x']) {
    assert.deepEqual(mapped.toNode(path), { kind: 'unmapped' }, path);
  }
});

test('names that this machine cannot hold are not mapped', () => {
  assert.match(mapped.toClient('/srv/shop/bad\udcff'), /^faultline:/);
  assert.match(mapped.toClient('/srv/shop/a\0b'), /^faultline:/);
});

test('files of other nodes and of this machine are told apart', () => {
  assert.deepEqual(here.toNode('faultline://work-3/srv/x.py'), {
    kind: 'otherNode',
    node: 'work-3',
  });
  for (const path of [
    '/etc/passwd',
    'file:///etc/passwd',
    'C:\\x.py',
    'git:/x',
    'faultline:/x',
    '',
  ]) {
    assert.deepEqual(here.toNode(path), { kind: 'unmapped' }, path);
  }
});

test('every source of a body is mapped, and nothing else', () => {
  const body = {
    breakpoints: [{ verified: true, source: { name: 'a.py', path: '/srv/a.py' } }],
    sources: [{ name: 'b.py', path: '/srv/b.py', sourceReference: 0 }],
    instructions: [{ address: '0x1', location: { path: '/srv/c.c' } }],
    modules: [{ path: '/srv/d.py' }],
    nested: { source: { name: 'e.py', path: '/srv/e.py', presentationHint: 'deemphasize' } },
    value: 'source',
    none: null,
  };
  assert.deepEqual(here.sourcesToClient(body), {
    breakpoints: [
      { verified: true, source: { name: 'a.py', path: 'faultline://work-2/srv/a.py' } },
    ],
    sources: [{ name: 'b.py', path: 'faultline://work-2/srv/b.py' }],
    instructions: [
      { address: '0x1', location: { name: 'c.c', path: 'faultline://work-2/srv/c.c' } },
    ],
    modules: [{ path: '/srv/d.py' }],
    nested: {
      source: {
        name: 'e.py',
        path: 'faultline://work-2/srv/e.py',
        presentationHint: 'deemphasize',
      },
    },
    value: 'source',
    none: null,
  });
  assert.deepEqual(body.sources[0]?.path, '/srv/b.py', 'the input is left as it is');
});

test('text that the adapter holds keeps its reference', () => {
  const source = { name: '<string>', path: '<string>', sourceReference: 7, adapterData: { id: 1 } };
  assert.deepEqual(seen(source), source);
});

const hostilePaths = [
  'http://evil.example/x',
  'https://evil.example/x',
  'command:workbench.action.terminal.new',
  'vscode://file/etc/passwd',
  'file:///etc/passwd',
  'faultline://other-node/etc/passwd',
  'vscode-remote://ssh-remote+x/etc/passwd',
  '\\\\evil\\share\\x.py',
  'C:\\Windows\\system32',
  '~/.ssh/id_rsa',
  '../../etc/passwd',
  'javascript:alert(1)',
];

for (const path of hostilePaths) {
  test(`only a label: ${path}`, () => {
    for (const source of [
      { path },
      { name: path, path },
      { name: path },
      { name: 'x', path, sourceReference: 0 },
    ]) {
      const result = seen(source) as { name: string; path?: string };
      assert.equal(result.path, undefined);
      // What VS Code does with a source that has a name only: an URI, or a path of this machine.
      assert.doesNotMatch(result.name, /^[a-z][a-z0-9+.-]+:/i);
      assert.doesNotMatch(result.name, /^([/\\~.]|[a-z]:)/i);
    }
  });
}

test('a local path is never a local path', () => {
  assert.deepEqual(seen({ name: 'passwd', path: '/etc/passwd' }), {
    name: 'passwd',
    path: 'faultline://work-2/etc/passwd',
  });
  assert.deepEqual(seen({ name: '/etc/passwd' }), { name: '</etc/passwd>' });
});

test('a source of the wrong shape is dropped', () => {
  for (const source of ['/etc/passwd', 7, null, true]) assert.equal(seen(source), undefined);
  assert.deepEqual(seen({ name: 7, path: {}, sourceReference: '1', origin: [] }), { name: '' });
});

test('labels show what would act', () => {
  assert.deepEqual(seen({ name: '\u001b]0;x\u0007\u202e' }), { name: '‹ESC›]0;x‹BEL›‹U+202E›' });
});

test('objects stay what they are', () => {
  const body: unknown = JSON.parse(
    '{"__proto__":{"polluted":1},"source":{"__proto__":{"path":"/x"}}}',
  );
  here.sourcesToClient(body);
  assert.equal(Reflect.get({}, 'polluted'), undefined);
});
