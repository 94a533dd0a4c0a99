// The page of the flame graph as VS Code would serve it, for a plain browser: the same HTML and
// policy, the same bundle and style sheet, from 127.0.0.1. What VS Code itself adds (its API
// object, theme variables) is put in before the page's script runs.

import { createServer, type Server } from 'node:http';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import type { Profile } from '../../src/profile/profile.ts';
import { webviewHtml } from '../../src/ui/webviewHtml.ts';
import type { FromFlame } from '../../src/webview/flame/protocol.ts';
import { themes, type ThemeName } from './themes.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** As much of a vscode.Uri as pages use. */
interface FakeUri {
  readonly path: string;
  with(change: { path: string }): FakeUri;
  toString(): string;
}

function fakeUri(uriPath: string): FakeUri {
  return { path: uriPath, with: (change) => fakeUri(change.path), toString: () => uriPath };
}

export class FlamePageServer {
  private readonly server: Server;
  readonly origin: string;

  private constructor(server: Server) {
    this.server = server;
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(): Promise<FlamePageServer> {
    const script = await bundle();
    const styles = readFileSync(path.join(root, 'media/flame.css'));
    const server = createServer((request, response) => {
      const answers: Readonly<Record<string, readonly [string, string | Buffer] | undefined>> = {
        '/': ['text/html; charset=utf-8', html()],
        '/dist/webview/flame.js': ['text/javascript', script],
        '/media/flame.css': ['text/css', styles],
      };
      const answer = answers[request.url ?? ''];
      if (answer === undefined) response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': answer[0] }).end(answer[1]);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FlamePageServer(server);
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

function html(): string {
  const webview = { cspSource: "'self'", asWebviewUri: (uri: FakeUri) => uri };
  type Parameters3 = Parameters<typeof webviewHtml>;
  return webviewHtml(
    webview as unknown as Parameters3[0],
    fakeUri('') as unknown as Parameters3[1],
    { script: 'flame', styles: ['flame'], title: 'Profile' },
  );
}

async function bundle(): Promise<string> {
  const result = await build({
    entryPoints: [path.join(root, 'src/webview/flame/main.ts')],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'chrome128',
    logLevel: 'silent',
  });
  return result.outputFiles[0]!.text;
}

export interface FlamePageOptions {
  readonly theme?: ThemeName;
  readonly width?: number;
  readonly height?: number;
  readonly scale?: number;
  /** What VS Code kept of an earlier page. */
  readonly state?: unknown;
  readonly reducedMotion?: boolean;
}

/** A page in a browser, with what it said and what went wrong. */
export class FlameTestPage {
  readonly page: Page;
  /** Messages the page sent to its panel. */
  readonly sent: FromFlame[] = [];
  readonly states: unknown[] = [];
  /** Violations of the policy, errors of scripts, requests to anywhere else, dialogs. */
  readonly troubles: string[] = [];

  private constructor(page: Page) {
    this.page = page;
  }

  static async open(
    browser: Browser,
    server: FlamePageServer,
    options: FlamePageOptions = {},
  ): Promise<FlameTestPage> {
    const page = await browser.newPage({
      viewport: { width: options.width ?? 1280, height: options.height ?? 720 },
      deviceScaleFactor: options.scale ?? 1,
      reducedMotion: (options.reducedMotion ?? true) ? 'reduce' : 'no-preference',
    });
    const opened = new FlameTestPage(page);
    await opened.watch(server);
    await page.exposeFunction('testSend', (message: FromFlame) => opened.sent.push(message));
    await page.exposeFunction('testSetState', (state: unknown) => opened.states.push(state));
    const given = { theme: themes[options.theme ?? 'dark'], state: options.state };
    await page.addInitScript(`window.testGiven = ${JSON.stringify(given)}`);
    await page.addInitScript({ path: fileURLToPath(import.meta.resolve('./inPage.mjs')) });
    await page.goto(server.origin);
    return opened;
  }

  /** Sends a profile as the panel does, and waits until it is drawn. */
  async show(profile: Profile, id = 'p1', title = 'Profile'): Promise<void> {
    await this.receive({ type: 'profile', id, title, profile: toPlain(profile) });
    await this.settle();
  }

  receive(message: unknown): Promise<void> {
    return this.inPage(`receive(${JSON.stringify(message)})`);
  }

  /** What was asked for is drawn. */
  settle(): Promise<void> {
    return this.inPage('settle()');
  }

  setTheme(theme: ThemeName): Promise<void> {
    return this.inPage(`dress(${JSON.stringify(themes[theme])})`);
  }

  zoomStepMs(): Promise<number> {
    return this.inPage('zoomStepMs()');
  }

  canvas(): Promise<{ width: number; cssWidth: number; pixel: number[]; pageWidth: number }> {
    return this.inPage('canvas()');
  }

  made(): Promise<{ elements: number; isPolluted: boolean }> {
    return this.inPage('made()');
  }

  /**
   * Calls a function of inPage.mjs. The root's tsconfig has no browser types, so it goes as text.
   */
  private inPage<T>(call: string): Promise<T> {
    return this.page.evaluate<T>(`flameTest.${call}`);
  }

  close(): Promise<void> {
    return this.page.close();
  }

  private async watch(server: FlamePageServer): Promise<void> {
    const { page, troubles } = this;
    page.on('pageerror', (error) => troubles.push(`error: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error') troubles.push(`console: ${message.text()}`);
    });
    page.on('dialog', (dialog) => {
      troubles.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    await page.route('**/*', async (route) => {
      const url = route.request().url();
      if (url.endsWith('/favicon.ico')) return route.fulfill({ status: 204 });
      if (!url.startsWith(server.origin)) troubles.push(`request: ${url}`);
      return route.continue();
    });
  }
}

/** Typed arrays as `{ array: name, values }`, which any browser protocol carries. */
function toPlain(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) {
    return { array: value.constructor.name, values: [...(value as unknown as Iterable<number>)] };
  }
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, toPlain(each)]));
}
