import assert from 'node:assert/strict';
import test from 'node:test';
import type { Uri, Webview } from 'vscode';
import { webviewHtml, webviewRoots } from '../../src/ui/webviewHtml.ts';

/** As much of a Uri as pages use. */
function uri(path: string): Uri {
  return {
    path,
    with: (change: { path: string }) => uri(change.path),
    toString: () => path,
  } as Uri;
}

const webview = {
  cspSource: 'https://*.vscode-cdn.net',
  asWebviewUri: (of: Uri) => uri(`https://x.vscode-cdn.net${of.path}`),
} as Pick<Webview, 'asWebviewUri' | 'cspSource'>;

const page = (title = 'Profile'): string =>
  webviewHtml(webview, uri('/ext/'), { script: 'flame', styles: ['flame', 'more'], title });

test('the policy allows one script by its nonce and our style sheets, and nothing else', () => {
  const html = page();
  const nonce = /script-src 'nonce-([\w-]{22})'/.exec(html)?.[1];
  assert.ok(nonce !== undefined);
  assert.ok(
    html.includes(
      `content="default-src 'none'; script-src 'nonce-${nonce}'; ` +
        `style-src https://*.vscode-cdn.net; require-trusted-types-for 'script'"`,
    ),
  );
  assert.deepEqual(html.match(/<script[^>]*>/g), [
    `<script nonce="${nonce}" src="https://x.vscode-cdn.net/ext/dist/webview/flame.js">`,
  ]);
  assert.deepEqual(html.match(/href="[^"]*"/g), [
    'href="https://x.vscode-cdn.net/ext/media/flame.css"',
    'href="https://x.vscode-cdn.net/ext/media/more.css"',
  ]);
  assert.doesNotMatch(html, /unsafe|style=|onload|<style/);
});

test('every page has a nonce of its own', () => {
  const nonces = new Set(Array.from({ length: 50 }, () => /nonce="([^"]+)"/.exec(page())?.[1]));
  assert.equal(nonces.size, 50);
});

test('a title with markup is text', () => {
  assert.ok(page('<script>"&').includes('<title>&lt;script&gt;&quot;&amp;</title>'));
});

test('a page may load from two folders only', () => {
  assert.deepEqual(
    webviewRoots(uri('/ext')).map((root) => root.path),
    ['/ext/dist/webview', '/ext/media'],
  );
});
