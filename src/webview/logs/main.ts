// The page of the live logs: it says it is ready, then shows what it is sent.

import { LogsPage } from './logsPage.ts';
import { readToLogs, type FromLogs } from './protocol.ts';

interface VsCodeApi {
  postMessage(message: FromLogs): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

const api = acquireVsCodeApi();
const root = document.getElementById('root') ?? document.body;
const page = new LogsPage(root, (message) => api.postMessage(message));

window.addEventListener('message', (event) => {
  const message = readToLogs(event.data);
  if (message !== undefined) page.show(message);
});
api.postMessage({ type: 'ready' });
