import assert from 'node:assert/strict';
import test from 'node:test';
import { ConnectionReport } from '../../src/remote/connectionReport.ts';
import { LocalShell } from '../../src/remote/localShell.ts';
import type { Node } from '../../src/remote/node.ts';
import '../fakes/useVscode.ts';
import { workspace } from '../fakes/vscode.ts';

const { onlyWhenTrusted } = await import('../../src/ui/trust.ts');
const node: Node = { name: 'a', host: 'a', labels: [], logs: [], origin: 'settings' };

test('nothing is connected to before the folder is trusted', async () => {
  let connections = 0;
  const connect = onlyWhenTrusted(() => {
    connections++;
    return Promise.resolve(new LocalShell());
  });
  const attempt = { isBackground: false, report: new ConnectionReport() };
  const { signal } = new AbortController();
  workspace.isTrusted = false;
  await assert.rejects(connect(node, signal, attempt), { code: 'node.untrusted' });
  assert.equal(connections, 0);
  workspace.isTrusted = true;
  (await connect(node, signal, attempt)).dispose();
  assert.equal(connections, 1);
});
