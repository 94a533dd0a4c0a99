// Single requests to the shop, for tests that want a certain one.

import { request } from 'node:http';

export interface ShopRequest {
  /** /settle, /quote, /route or /audit. */
  readonly path: string;
  /**
   * All optional: `order` (number), `worker` (a node's name; in turn without it), and for /settle
   * `amount` (text), `currency`, `parcels` (number), `export`. JPY fails on work-2, `export: true`
   * on work-3, both succeed on work-1.
   */
  readonly body: Readonly<Record<string, unknown>>;
  /** `req-` and 12 hex digits; the gateway makes one otherwise. */
  readonly requestId?: string;
}

export interface ShopAnswer {
  readonly requestId: string;
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const TIMEOUT_MS = 60_000;

/** Asks the gateway and waits for its answer; an error status is an answer, too. */
export function sendRequest(
  fleet: { readonly gateUrl: string },
  { path, body, requestId }: ShopRequest,
): Promise<ShopAnswer> {
  const headers = {
    'content-type': 'application/json',
    ...(requestId === undefined ? {} : { 'x-request-id': requestId }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(fleet.gateUrl + path, { method: 'POST', headers, agent: false });
    outgoing.setTimeout(TIMEOUT_MS, () =>
      outgoing.destroy(new Error('the gateway did not answer')),
    );
    outgoing.on('error', reject);
    outgoing.on('response', (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({
          requestId: String(answer.headers['x-request-id'] ?? ''),
          status: answer.statusCode ?? 0,
          body: JSON.parse(text) as Record<string, unknown>,
        }),
      );
    });
    outgoing.end(JSON.stringify(body));
  });
}

/** True when the service behind `url` says that it is well. */
export function isHealthy(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = request(`${url}/health`, { agent: false, timeout: 2000 });
    probe.on('timeout', () => probe.destroy());
    probe.on('error', () => resolve(false));
    probe.on('response', (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    probe.end();
  });
}
