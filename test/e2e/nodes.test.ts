// The Nodes view in a real VS Code: every state a node can be in, why, and the way out of it. Each step leaves its
// screenshot, in dark and light, in test/out/screenshots.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { startSshd, type TestSshd } from '../fakes/sshd.ts';
import { vsixFile } from '../tools/project.mjs';
import { openWorkbench, type Workbench } from './harness/browser.mjs';
import { ensureCodeServer, startCodeServer } from './harness/codeServer.mjs';

const base = mkdtempSync(join(tmpdir(), 'faultline-e2e-nodes-'));
const knownHosts = join(base, 'known_hosts');
let good: TestSshd;
let fragile: TestSshd;
let closed: TestSshd;
let silent: Server;
let server: Awaited<ReturnType<typeof startCodeServer>>;
let workbench: Workbench;

before(async () => {
  await ensureCodeServer({});
  [good, fragile, closed] = await Promise.all([
    startSshd(),
    startSshd(),
    startSshd({ config: 'ForceCommand echo This account is currently not available.; exit 1' }),
  ]);
  silent = createServer();
  const silentPort = await new Promise<number>((resolve) => {
    silent.listen(0, '127.0.0.1', () => resolve((silent.address() as { port: number }).port));
  });
  const key = (sshd: TestSshd): string => sshd.hostKeyLine.split(' ').slice(1).join(' ');
  writeFileSync(
    knownHosts,
    ['web-01', 'web-02', 'web-03', 'wrong-key']
      .map((name) => `${name} ${key(good)}\n`)
      .concat([`lost ${key(fragile)}\n`, `closed ${key(closed)}\n`, `moved ${key(fragile)}\n`])
      .join(''),
  );
  const host = (name: string, sshd: TestSshd, lines = ''): string => `Host ${name}
  Port ${sshd.port}
  HostKeyAlias ${name}
  IdentityFile ${sshd.dir}/client
${lines}`;
  const configFile = join(base, 'config');
  writeFileSync(
    configFile,
    `${['web-01', 'web-02', 'web-03', 'moved', 'new-1', 'new-2'].map((name) => host(name, good)).join('')}
${host('lost', fragile)}
${host('closed', closed)}
Host wrong-key
  Port ${good.port}
  HostKeyAlias wrong-key
  IdentityFile ${good.dir}/other
Host nowhere
  HostName no-such-host.invalid
Host down
  Port 1
Host silent
  Port ${silentPort}
Host *
  HostName 127.0.0.1
  User ${userInfo().username}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${knownHosts}
  GlobalKnownHostsFile none
  StrictHostKeyChecking ask
`,
  );
  const folder = join(base, 'workspace');
  mkdirSync(folder);
  server = await startCodeServer({
    userDataDir: join(base, 'user-data'),
    extensionsDir: join(base, 'extensions'),
    folder,
    vsix: vsixFile,
    settings: {
      'faultline.ssh.configFile': configFile,
      'faultline.nodes': [
        { group: 'web', nodes: ['web-[01-03]'], labels: ['production'] },
        { group: 'trouble', nodes: ['lost', 'moved', 'wrong-key', 'closed', 'down', 'nowhere'] },
        { group: 'new', nodes: ['new-1', 'new-2', 'silent'], labels: ['development'] },
      ],
    },
  });
  workbench = await openWorkbench(server.url, { theme: 'dark' });
});

after(async () => {
  await workbench?.close();
  await server?.stop();
  await Promise.all([good, fragile, closed].map((sshd) => sshd?.stop()));
  silent?.close();
  rmSync(base, { recursive: true, force: true });
});

// The last one of these shows what a failure looked like.
afterEach(() => workbench.screenshot('last-state'));

async function shoot(name: string): Promise<void> {
  for (const theme of ['light', 'dark'] as const) {
    await workbench.setTheme(theme);
    await workbench.screenshot(name);
  }
}

/** Until they are connected, and have been asked their time. */
async function waitForClock(...names: readonly string[]): Promise<void> {
  await workbench.waitForTree(
    'Nodes',
    (items) =>
      names.every((name) =>
        items.some((item) => item.label === name && /clock/.test(item.description)),
      ),
    90_000,
  );
}

test('nodes stand under their groups, with their labels', async () => {
  await workbench.openContainer('Faultline');
  const items = await workbench.waitForTree('Nodes', (rows) => rows.some((row) => row.level === 2));
  assert.deepEqual(
    items.filter((item) => item.level === 1).map((item) => item.label),
    ['web', 'trouble', 'new'],
  );
  await shoot('nodes-offline');
});

test('a node says in words why it cannot be used', async () => {
  const troubles: readonly [string, RegExp][] = [
    ['moved', /^host key changed · The host key of moved has changed/],
    ['wrong-key', /^login refused · wrong-key refused the login/],
    [
      'closed',
      /^account closed · .* runs no commands \(it says: This account is currently not available\.\)/,
    ],
    ['down', /^connection refused · /],
    ['nowhere', /^name not found · The name no-such-host\.invalid/],
  ];
  for (const [name] of troubles) await workbench.clickTreeAction('Nodes', name, 'Connect');
  for (const name of ['web-01', 'web-02', 'lost']) {
    await workbench.clickTreeAction('Nodes', name, 'Connect');
  }
  await workbench.clickTreeAction('Nodes', 'silent', 'Connect');
  await workbench.waitForTree('Nodes', (items) =>
    troubles.every(([name, reason]) =>
      reason.test(items.find((item) => item.label === name)?.description ?? ''),
    ),
  );
  await workbench.waitForTree('Nodes', (items) =>
    items.some((item) => item.label === 'silent' && /^connecting: Agree/.test(item.description)),
  );
  await waitForClock('web-01', 'web-02', 'lost');
  await workbench.clearNotifications();
});

test('a lost node counts down to its next try, and comes back by itself', async () => {
  await fragile.restart(2_500);
  await workbench.waitForTree('Nodes', (items) =>
    items.some((item) => item.label === 'lost' && /again in \d+ s/.test(item.description)),
  );
  await shoot('nodes-states');
  await waitForClock('lost');
});

test('many unknown host keys are one question, with fingerprints and the file', async () => {
  await workbench.clickTreeItem('Nodes', 'new-1');
  await workbench.clickTreeItem('Nodes', 'new-2', { toggle: true });
  await workbench.clickTreeMenu('Nodes', 'new-2', 'Connect');
  const dialog = workbench.page.locator('.monaco-dialog-box');
  await dialog.waitFor();
  const text = (await dialog.textContent()) ?? '';
  assert.match(text, /host keys of 2 nodes are not known/);
  assert.match(text, /new-1 \(ssh-ed25519\)\s*SHA256:[\w+/]{43}/);
  assert.ok(text.includes(knownHosts), text);
  await shoot('nodes-host-keys');
  await workbench.page.getByRole('button', { name: 'Accept and Remember All' }).click();
  await waitForClock('new-1', 'new-2');
  const added = readFileSync(knownHosts, 'utf8').split('\n').slice(-3, -1).sort();
  assert.match(added.join('\n'), /^new-1 ssh-ed25519 \S+\nnew-2 ssh-ed25519 \S+$/);
});

test('the connection report tells each step with its time', async () => {
  await workbench.clickTreeMenu('Nodes', 'moved', 'Show Connection Report');
  await workbench.waitForEditor(/moved/);
  const text = await workbench.editorText();
  assert.match(text, /ok\s+\+\s*\d+ ms\s+[\d.]+ ms\s+Read the ssh configuration/);
  assert.match(text, /FAILED.*Check the host key of moved/);
  assert.match(text, /ssh-keygen -R/);
  await shoot('nodes-report');
});

test('a hover tells the whole reason, the next step and the clock', async () => {
  await workbench.clickTreeItem('Nodes', 'wrong-key');
  const label = workbench.page.locator('.monaco-list-row[role=treeitem].focused .label-name', {
    hasText: 'wrong-key',
  });
  // A theme's change closes the hover.
  for (const theme of ['light', 'dark'] as const) {
    await workbench.setTheme(theme);
    await workbench.page.mouse.move(700, 600);
    await label.hover();
    const hover = workbench.page.locator('.workbench-hover-container', {
      hasText: 'Check that "ssh wrong-key" works',
    });
    await hover.waitFor();
    await workbench.screenshot('nodes-hover');
  }
});

test('the remote commands are listed with their text and cost', async () => {
  await workbench.clickTreeMenu('Nodes', 'web-01', 'Show Remote Commands');
  const items = await workbench.waitForTree('Remote Commands', (rows) =>
    rows.some((row) => row.label === 'web-01' && /\d+ commands?/.test(row.description)),
  );
  assert.ok(items.length > 0);
  await shoot('nodes-commands');
});
