import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, beforeEach } from 'node:test';
import { LocalNodes } from '../fakes/localNodes.ts';
import '../fakes/useVscode.ts';
import { fake, type Uri } from '../fakes/vscode.ts';

const { LogDocuments } = await import('../../src/ui/logDocuments.ts');
const { TimeZoneSwitch } = await import('../../src/ui/timeDisplay.ts');

const root = mkdtempSync(join(tmpdir(), 'faultline-documents-'));
after(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => fake.reset());

test('an open document is asked for again when the zone of times changes', async () => {
  const log = join(root, 'a.log');
  writeFileSync(log, '{"level":50,"time":1795328274123,"reqId":"req-1","msg":"bad"}\n');
  const env = { ...process.env, TZ: 'Asia/Kathmandu' };
  const nodes = new LocalNodes({ far: { logs: [log], shell: { env } } });
  fake.set('faultline.time.display', 'utc');
  const times = new TimeZoneSwitch(() => undefined);
  const documents = new LogDocuments(nodes, times);
  const changed: Uri[] = [];
  documents.onDidChange((uri) => changed.push(uri));

  await documents.search(nodes.nodes, { contextId: 'req-1' });
  const [{ uri } = { uri: undefined }] = fake.documents;
  const text = (): Promise<string> => documents.provideTextDocumentContent(uri as never);
  assert.match(await text(), /^\[2026-11-22 06:17:54\.123Z\] ERROR/m);
  assert.match(await text(), /^# Times are in UTC/m);
  assert.deepEqual(changed, []);

  fake.set('faultline.time.display', 'node');
  assert.deepEqual(changed, [uri]);
  assert.match(await text(), /^\[2026-11-22 12:02:54\.123\+05:45\] ERROR/m);
  fake.set('faultline.time.display', 'utc');
  assert.match(await text(), /^\[2026-11-22 06:17:54\.123Z\] ERROR/m);
  documents.dispose();
  nodes.dispose();
});
