/**
 * The door to a code-server that listens on a private Unix socket only. On 127.0.0.1 every user of
 * the machine could otherwise open it and run commands as us. The gate asks for a token, which the
 * printed URL carries (as VS Code's own `?tkn=`), and keeps it in a cookie: one click, no password.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';

/**
 * @typedef {object} Gate
 * @property {string} origin http://127.0.0.1:PORT
 * @property {string} token
 * @property {() => Promise<void>} close ends it with all its connections
 */

/**
 * @param {{ socketPath: string, port: number }} options port 0 takes any free one
 * @returns {Promise<Gate>}
 */
export async function openGate({ socketPath, port }) {
  const token = randomBytes(24).toString('base64url');
  /** @type {Set<net.Socket>} */
  const upgraded = new Set();
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://gate');
    const offered = url.searchParams.get('tkn');
    if (offered !== null && isSame(offered, token)) {
      url.searchParams.delete('tkn');
      const cookie = `${cookieName(server)}=${token}; Path=/; HttpOnly; SameSite=Strict`;
      response.writeHead(302, { 'Set-Cookie': cookie, Location: `${url.pathname}${url.search}` });
      response.end();
      return;
    }
    if (!isAllowed(request, server, token)) {
      response.writeHead(403, { 'Content-Type': 'text/plain' });
      response.end('Open the address that "npm start" printed: it carries the token.\n');
      return;
    }
    const { method, headers } = request;
    const onward = http.request({ socketPath, path: request.url, method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => {
      if (!response.headersSent) response.writeHead(502);
      response.end();
    });
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  server.on('upgrade', (request, /** @type {net.Socket} */ socket, head) => {
    if (!isAllowed(request, server, token)) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n');
      return;
    }
    const onward = net.connect(socketPath);
    onward.write(rawHead(request));
    onward.write(head);
    socket.setNoDelay(true);
    socket.pipe(onward).pipe(socket);
    upgraded.add(socket);
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ]) {
      one?.on('error', () => other?.destroy());
      one?.on('close', () => other?.destroy());
    }
    socket.on('close', () => upgraded.delete(socket));
  });
  await new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(undefined));
  });
  return {
    origin: `http://127.0.0.1:${portOf(server)}`,
    token,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of upgraded) socket.destroy();
      }),
  };
}

/** @param {http.Server} server */
function portOf(server) {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The gate has no port.');
  return address.port;
}

/**
 * Cookies know no ports: the name keeps two gates apart.
 *
 * @param {http.Server} server
 */
const cookieName = (server) => `faultline-${portOf(server)}`;

/**
 * @param {http.IncomingMessage} request
 * @param {http.Server} server
 * @param {string} token
 */
function isAllowed(request, server, token) {
  const prefix = `${cookieName(server)}=`;
  return (request.headers.cookie ?? '')
    .split('; ')
    .some((pair) => pair.startsWith(prefix) && isSame(pair.slice(prefix.length), token));
}

/**
 * Compares without telling by its duration how much was right.
 *
 * @param {string} offered
 * @param {string} token
 */
function isSame(offered, token) {
  const a = Buffer.from(offered);
  const b = Buffer.from(token);
  return a.length === b.length && timingSafeEqual(a, b);
}

/**
 * The head of a request as it came, to be sent on unchanged.
 *
 * @param {http.IncomingMessage} request
 */
function rawHead({ method, url, httpVersion, rawHeaders }) {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}
