// The page of the flame graph: it says it is ready, receives a profile, and draws it. What the user
// looks at is kept as the page's state, so a page that VS Code threw away while hidden comes back
// as it was.

import { FlamePage, type SavedState } from './flamePage.ts';
import { readToFlame, type FromFlame } from './protocol.ts';

interface VsCodeApi {
  postMessage(message: FromFlame): void;
  getState(): unknown;
  setState(state: SavedState): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

const api = acquireVsCodeApi();
const root = document.getElementById('root') ?? document.body;
const page = new FlamePage(root, {
  send: (message) => api.postMessage(message),
  savedState: () => api.getState(),
  saveState: (state) => api.setState(state),
});

window.addEventListener('message', (event) => {
  const message = readToFlame(event.data);
  if (message !== undefined) page.show(message);
});
api.postMessage({ type: 'ready' });
