// The preflight page: findings as a table, and the ways to start the run again. Browser code; every text is set
// by textContent, since it comes from nodes.

import type {
  FromPreflight,
  PreflightRow,
  PreflightView,
  RerunView,
  ToPreflight,
} from './protocol.ts';

interface VsCodeApi {
  postMessage(message: FromPreflight): void;
}
declare function acquireVsCodeApi(): VsCodeApi;

const api = acquireVsCodeApi();
const root = document.getElementById('root')!;
const opened = new Set<string>();

window.addEventListener('message', (event: MessageEvent<ToPreflight>) => {
  const message = event.data;
  switch (message.type) {
    case 'checking':
      setBusy(`Comparing with ${message.target} …`);
      break;
    case 'show':
      draw(message.view);
      break;
    case 'error':
      drawError(message.text);
      break;
    case 'rerun':
      drawRerun(message.rerun);
      break;
  }
});
api.postMessage({ type: 'ready' });

function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  text?: string,
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function setBusy(text: string): void {
  let busy = document.getElementById('busy');
  if (busy === null) {
    busy = element('p', 'busy');
    busy.id = 'busy';
    busy.setAttribute('role', 'status');
    root.prepend(busy);
  }
  busy.textContent = text;
}

function drawError(text: string): void {
  document.getElementById('busy')?.remove();
  let problem = document.getElementById('problem');
  if (problem === null) {
    problem = element('p', 'problem');
    problem.id = 'problem';
    problem.setAttribute('role', 'alert');
    root.prepend(problem);
  }
  problem.textContent = text;
}

function draw(view: PreflightView): void {
  const rerun = document.getElementById('rerun');
  root.replaceChildren(header(view), actions(view), findings(view));
  if (rerun !== null) root.insertBefore(rerun, root.lastElementChild);
}

function header(view: PreflightView): HTMLElement {
  const top = element('header');
  top.append(element('h1', '', 'Reopen run'), element('code', 'command', view.command));
  const facts = element('p', 'facts');
  const started = new Date(view.startedAt);
  const when = Number.isNaN(started.getTime()) ? view.startedAt : started.toLocaleString();
  facts.append(
    element('span', 'failure', view.end),
    element('span', '', `on ${view.recordedOn}`),
    element('span', '', when),
    element('span', '', `in ${view.cwd}`),
  );
  const record = element('button', 'link', view.run);
  record.title = 'Show the whole record';
  record.addEventListener('click', () => api.postMessage({ type: 'record' }));
  facts.append(record);
  top.append(facts);
  return top;
}

function actions(view: PreflightView): HTMLElement {
  const bar = element('div', 'actions');
  const label = element('label', '', 'On');
  const select = element('select');
  select.id = 'target';
  for (const node of view.nodes) {
    const option = element('option', '', node === view.recordedOn ? `${node} (recorded)` : node);
    option.value = node;
    option.selected = node === view.target;
    select.append(option);
  }
  select.addEventListener('change', () => api.postMessage({ type: 'target', node: select.value }));
  label.append(select);
  const action = (
    text: string,
    type: 'debug' | 'run' | 'terminal' | 'refresh',
    kind: string,
  ): void => {
    const button = element('button', kind, text);
    button.addEventListener('click', () => api.postMessage({ type }));
    bar.append(button);
  };
  bar.append(label);
  action('Reopen under Debugger', 'debug', 'primary');
  action('Reopen without Debugger', 'run', 'secondary');
  action('Open Terminal There', 'terminal', 'secondary');
  action('Check Again', 'refresh', 'link');
  if (view.isProduction) bar.append(element('span', 'production', 'production'));
  return bar;
}

function findings(view: PreflightView): HTMLElement {
  const section = element('section');
  const summary = element('p', 'summary', view.summary);
  summary.setAttribute('role', 'status');
  section.append(summary);
  const told = view.rows.filter((row) => row.status !== 'same' && row.severity !== 'info');
  const harmless = view.rows.filter((row) => row.status !== 'same' && row.severity === 'info');
  const same = view.rows.filter((row) => row.status === 'same');
  if (told.length > 0) section.append(table(told, 'What differs or could not be checked'));
  section.append(
    ...folded(harmless, 'harmless differences'),
    ...folded(same, 'facts are the same'),
  );
  return section;
}

/** Rows that are seldom wanted; a group that was opened stays open when the page is drawn again. */
function folded(rows: readonly PreflightRow[], what: string): HTMLElement[] {
  if (rows.length === 0) return [];
  const details = element('details');
  details.open = opened.has(what);
  details.addEventListener('toggle', () => {
    if (details.open) opened.add(what);
    else opened.delete(what);
  });
  details.append(element('summary', '', `${rows.length} ${what}`), table(rows, what));
  return [details];
}

function table(rows: readonly PreflightRow[], caption: string): HTMLTableElement {
  const made = element('table');
  made.append(element('caption', 'hidden', caption));
  const head = element('tr');
  for (const title of ['', 'Fact', 'Recorded', 'Now', '']) {
    const cell = element('th', '', title);
    cell.scope = 'col';
    head.append(cell);
  }
  const thead = element('thead');
  thead.append(head);
  const body = element('tbody');
  for (const row of rows) body.append(tableRow(row));
  made.append(thead, body);
  return made;
}

function tableRow(row: PreflightRow): HTMLTableRowElement {
  const line = element('tr', `${row.status} ${row.severity}`);
  const word =
    row.status === 'differs' ? row.severity : row.status === 'unchecked' ? 'not checked' : 'same';
  const badge = element('td', 'badge');
  badge.append(element('span', '', word));
  line.append(
    badge,
    element('td', 'fact', row.fact),
    value(row.recorded, row.status === 'unchecked' && row.recorded === null),
    value(row.current, row.status === 'unchecked'),
    element('td', 'note', row.note ?? ''),
  );
  return line;
}

function value(text: string | null, isUnknown: boolean): HTMLTableCellElement {
  return text === null
    ? element('td', 'value absent', isUnknown ? 'unknown' : 'not there')
    : element('td', 'value', text);
}

function drawRerun(rerun: RerunView): void {
  let panel = document.getElementById('rerun');
  if (panel === null) {
    panel = element('div', 'rerun');
    panel.id = 'rerun';
    root.insertBefore(panel, root.lastElementChild);
  }
  const verdict = element(
    'p',
    rerun.state === 'running'
      ? 'verdict'
      : rerun.sameFailure
        ? 'verdict same-failure'
        : 'verdict other',
    rerun.state === 'running' ? 'Running …' : rerun.text,
  );
  verdict.setAttribute('role', 'status');
  const output = element('pre', 'output', rerun.output);
  output.tabIndex = 0;
  output.setAttribute('aria-label', 'Output of the run');
  panel.replaceChildren(verdict, output);
  output.scrollTop = output.scrollHeight;
}
