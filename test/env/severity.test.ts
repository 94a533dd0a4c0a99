import assert from 'node:assert/strict';
import test from 'node:test';
import {
  canonicalPythonVersion,
  compareSeverity,
  harmlessVariable,
  interpreterSeverity,
  nodeSeverity,
  packageSeverity,
  variableSeverity,
  type Severity,
} from '../../src/env/severity.ts';

test('packages by PEP 440', () => {
  const cases: readonly (readonly [string | null, string | null, Severity])[] = [
    ['1.4.2', '2.1.0', 'high'],
    ['1!1.0', '2!1.0', 'high'],
    ['0.3.1', '0.4.0', 'high'],
    ['1.4.2', '1.5.0', 'medium'],
    ['1.4.2', '1.4.3', 'low'],
    ['1.4.2', '1.4.2rc1', 'low'],
    ['2.1.0+cpu', '2.1.0+cu118', 'low'],
    ['1.0', '1.0.0', 'info'],
    ['1.0.post1', '1.0.post2', 'low'],
    ['1.0-rc.1', '1.0rc1', 'info'],
    ['2023.7.22', '2024.2.2', 'medium'],
    ['2024.2.2', '2024.7.4', 'low'],
    ['1.0', null, 'medium'],
    [null, '1.0', 'medium'],
    ['1.0', '1.0', 'info'],
    ['1.0', 'mystery', 'medium'],
  ];
  for (const [a, b, expected] of cases) {
    assert.equal(packageSeverity(a, b), expected, `${a} and ${b}`);
    assert.equal(packageSeverity(b, a), expected, `${b} and ${a}`);
  }
});

test('interpreters: every minor version of Python, every major version of Node.js', () => {
  assert.equal(interpreterSeverity('3.11.2', '3.12.0'), 'high');
  assert.equal(interpreterSeverity('3.11.2', '3.11.9'), 'low');
  assert.equal(interpreterSeverity('3.13.0rc1', '3.13.0'), 'low');
  assert.equal(nodeSeverity('20.20.2', '22.1.0'), 'high');
  assert.equal(nodeSeverity('20.20.2', '20.9.0'), 'low');
  assert.equal(nodeSeverity('20.20.2', 'unknown'), 'high');
});

test('variables by what reads them', () => {
  const cases: readonly (readonly [string, string | null, string | null, Severity])[] = [
    ['TARIFF_REGION', 'eu', null, 'high'],
    ['TARIFF_REGION', 'eu', 'us', 'medium'],
    ['TARIFF_REGION', 'eu', 'eu', 'info'],
    ['LD_PRELOAD', null, '/x.so', 'high'],
    ['PYTHONPATH', '/a', '/b', 'high'],
    ['PATH', '/a', '/b', 'medium'],
    ['LC_ALL', 'C', null, 'medium'],
    ['EDITOR', 'vi', null, 'low'],
    ['HOME', '/root', '/home/app', 'low'],
    ['SSH_CONNECTION', 'x', 'y', 'info'],
    ['INVOCATION_ID', 'x', 'y', 'info'],
    ['LS_COLORS', 'x', null, 'info'],
  ];
  for (const [name, a, b, expected] of cases) {
    assert.equal(variableSeverity(name, a, b), expected, `${name}: ${a} and ${b}`);
  }
  assert.equal(harmlessVariable('SSH_CLIENT'), 'of this connection');
  assert.equal(harmlessVariable('TARIFF_REGION'), undefined);
});

test('severities sort worst first', () => {
  const shuffled: Severity[] = ['low', 'info', 'high', 'medium'];
  assert.deepEqual(shuffled.sort(compareSeverity), ['high', 'medium', 'low', 'info']);
});

test('spellings of one Python version have one canonical form, other versions have others', () => {
  const alike = [
    ['1.0', '1', '1.0.0', 'v1.0', '1.00'],
    ['1.10', '1.10.0'],
    ['0', '0.0'],
    ['1.0rc1', '1.0.0-rc.1', '1.0c1'],
    ['1!1.0', '1!1'],
    ['1.0+Local.1', '1.0+local-1'],
  ];
  const forms = alike.map((versions) => new Set(versions.map(canonicalPythonVersion)));
  for (const [at, form] of forms.entries()) assert.equal(form.size, 1, alike[at]?.join(' '));
  assert.equal(new Set(forms.flatMap((form) => [...form])).size, alike.length);
  assert.equal(canonicalPythonVersion('not a version'), 'not a version');
});
