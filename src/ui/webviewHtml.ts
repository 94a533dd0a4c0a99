// The one HTML text of all our pages: a strict policy, one script, its styles, and an empty body.
// Everything that is shown is built by the script from messages, so no data is ever printed into
// HTML.

import { randomBytes } from 'node:crypto';
import type { Uri, Webview } from 'vscode';

export interface WebviewPage {
  /** Name of the bundle in dist/webview, without its ending. */
  readonly script: string;
  /** Names of style sheets in media, without their ending. */
  readonly styles: readonly string[];
  readonly title: string;
}

/**
 * The page. Its policy allows our one script (by a nonce that nobody can guess) and our style
 * sheets, and nothing else: no inline code or styles, no images, no connections, no strings as
 * code.
 */
export function webviewHtml(
  webview: Pick<Webview, 'asWebviewUri' | 'cspSource'>,
  extensionUri: Uri,
  { script, styles, title }: WebviewPage,
): string {
  const nonce = randomBytes(16).toString('base64url');
  const uri = (...path: string[]): string =>
    escapeAttribute(webview.asWebviewUri(inside(extensionUri, ...path)).toString());
  const policy = [
    `default-src 'none'`,
    `script-src 'nonce-${nonce}'`,
    `style-src ${webview.cspSource}`,
    `require-trusted-types-for 'script'`,
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeAttribute(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
${styles.map((name) => `<link rel="stylesheet" href="${uri('media', `${name}.css`)}">`).join('\n')}
<title>${escapeAttribute(title)}</title>
</head>
<body>
<main id="root"></main>
<script nonce="${nonce}" src="${uri('dist', 'webview', `${script}.js`)}"></script>
</body>
</html>
`;
}

/** The folders a page may load from: for `WebviewOptions.localResourceRoots`. */
export function webviewRoots(extensionUri: Uri): Uri[] {
  return [inside(extensionUri, 'dist', 'webview'), inside(extensionUri, 'media')];
}

function inside(extensionUri: Uri, ...path: readonly string[]): Uri {
  const folder = extensionUri.path.replace(/\/$/, '');
  return extensionUri.with({ path: [folder, ...path].join('/') });
}

function escapeAttribute(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
