// The door to a VS Code that can run any command as its user.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { once } from 'node:events';
import test, { after, before } from 'node:test';
import { openGate, type Gate } from '../e2e/harness/gate.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'faultline-gate-'));
const socketPath = path.join(folder, 'server');
let gate: Gate;

/** Stands for code-server: says what it was asked, and echoes after an upgrade. */
const server = http.createServer((request, response) => {
  response.end(`asked for ${request.url}`);
});
server.on('upgrade', (_request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  socket.pipe(socket);
});

before(async () => {
  server.listen(socketPath);
  await once(server, 'listening');
  gate = await openGate({ socketPath, port: 0 });
});

after(async () => {
  await gate.close();
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (url: string, cookie?: string) =>
  fetch(`${gate.origin}${url}`, {
    redirect: 'manual',
    headers: cookie === undefined ? {} : { cookie },
  });

async function cookieOf(url: string): Promise<string> {
  const response = await ask(url);
  return response.headers.get('set-cookie')?.split(';')[0] ?? '';
}

/** The status line's number that an upgrade is answered with, and what is echoed. */
function upgrade(cookie: string): Promise<{ status: number; echo: string }> {
  return new Promise((resolve, reject) => {
    const request = http.request(`${gate.origin}/socket`, {
      headers: { connection: 'Upgrade', upgrade: 'echo', cookie },
    });
    request.on('upgrade', (response, socket) => {
      socket.once('data', (bytes: Buffer) => {
        socket.destroy();
        resolve({ status: response.statusCode ?? 0, echo: bytes.toString() });
      });
      socket.write('hello');
    });
    request.on('response', (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, echo: '' });
    });
    request.on('error', reject);
    request.end();
  });
}

test('nobody gets in without the token', async () => {
  assert.equal((await ask('/')).status, 403);
  assert.equal((await ask('/?tkn=')).status, 403);
  assert.equal((await ask(`/?tkn=${'x'.repeat(gate.token.length)}`)).status, 403);
  assert.equal((await ask('/', `faultline-1=${gate.token}`)).status, 403);
  assert.equal((await upgrade('')).status, 403);
});

test('the token is exchanged for a cookie and leaves the address', async () => {
  const response = await ask(`/?tkn=${gate.token}&folder=%2Fsrv%2Fshop`);
  assert.equal(response.status, 302);
  assert.equal(response.headers.get('location'), '/?folder=%2Fsrv%2Fshop');
  assert.match(response.headers.get('set-cookie') ?? '', /HttpOnly; SameSite=Strict/);
});

test('with the cookie, requests and upgrades pass', async () => {
  const cookie = await cookieOf(`/?tkn=${gate.token}`);
  const response = await ask('/some/file?q=1', `other=1; ${cookie}`);
  assert.equal(await response.text(), 'asked for /some/file?q=1');
  assert.deepEqual(await upgrade(cookie), { status: 101, echo: 'hello' });
});
