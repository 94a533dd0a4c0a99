// What was measured, where, how and at what cost; and the choices of what to look at.

import { toDisplay } from '../../base/displayText.ts';
import {
  measuredKinds,
  type Profile,
  type ProfileMeta,
  type WeightKind,
} from '../../profile/profile.ts';
import { fill, h } from './dom.ts';
import { formatDuration, formatShare, formatWeight } from './format.ts';
import { weighThreads, type FlameModel } from './model.ts';

export type Mode = 'graph' | 'table';

export interface HeaderEvents {
  onKind(kind: WeightKind): void;
  onThread(thread: number | undefined): void;
  onMode(mode: Mode): void;
  onSave(): void;
}

const kindNames: Readonly<Record<WeightKind, { readonly label: string; readonly title: string }>> =
  {
    cpu: { label: 'CPU', title: 'Only samples taken while the thread was on a processor' },
    wall: { label: 'Wall', title: 'Every sample, also of threads that were waiting' },
  };

export class Header {
  readonly element = h('header');
  private readonly events: HeaderEvents;

  constructor(events: HeaderEvents) {
    this.events = events;
  }

  show(title: string, model: FlameModel, mode: Mode): void {
    const { profile } = model;
    fill(
      this.element,
      h(
        'div',
        { className: 'header-top' },
        h('h1', { title: toDisplay(title) }, toDisplay(profile.meta.command || title, 200)),
        h(
          'div',
          { className: 'header-choices' },
          ...this.kindSwitch(profile, model.kind),
          ...this.threadPicker(profile, model),
          this.modeSwitch(mode),
          this.saveButton(),
        ),
      ),
      h('div', { className: 'header-facts' }, facts(profile, model), notes(profile.meta)),
    );
  }

  private kindSwitch(profile: Profile, current: WeightKind): HTMLElement[] {
    const kinds = measuredKinds(profile);
    if (kinds.length < 2) return [];
    return [
      choice(
        'Time',
        kinds.map((kind) => ({ ...kindNames[kind], value: kind })),
        current,
        (kind) => this.events.onKind(kind),
      ),
    ];
  }

  private modeSwitch(current: Mode): HTMLElement {
    const modes = [
      { value: 'graph', label: 'Flame graph', title: 'Stacks, root at the top' },
      { value: 'table', label: 'Table', title: 'Functions with their self and total weight' },
    ] as const;
    return choice<Mode>('View', modes, current, (mode) => this.events.onMode(mode));
  }

  private threadPicker(profile: Profile, model: FlameModel): HTMLElement[] {
    if (profile.threads.length < 2) return [];
    const weights = weighThreads(profile, model.kind);
    const all = weights.reduce((sum, { weight }) => sum + weight, 0);
    const select = h(
      'select',
      { ariaLabel: 'Thread', title: 'Thread' },
      h('option', { value: '' }, `All ${profile.threads.length} threads`),
      ...weights.map(({ thread, weight }) =>
        h(
          'option',
          { value: String(thread) },
          `${toDisplay(profile.threads[thread]!, 80)} · ${formatShare(all > 0 ? weight / all : 0)}`,
        ),
      ),
    );
    select.value = model.thread === undefined ? '' : String(model.thread);
    select.addEventListener('change', () => {
      this.events.onThread(select.value === '' ? undefined : Number(select.value));
    });
    return [h('span', { className: 'select' }, select)];
  }

  private saveButton(): HTMLElement {
    const button = h('button', {
      type: 'button',
      className: 'plain',
      title: 'Save the profile to a file',
    });
    button.append('Save…');
    button.addEventListener('click', () => this.events.onSave());
    return button;
  }
}

interface Option<T> {
  readonly value: T;
  readonly label: string;
  readonly title: string;
}

/** Buttons of which one is pressed. */
function choice<T extends string>(
  name: string,
  options: readonly Option<T>[],
  current: T,
  onChoose: (value: T) => void,
): HTMLElement {
  const group = h('div', { className: 'choice', role: 'group', ariaLabel: name });
  for (const { value, label, title } of options) {
    const isCurrent = value === current;
    const button = h('button', { type: 'button', title, ariaPressed: String(isCurrent) }, label);
    button.dataset['value'] = value;
    button.addEventListener('click', () => onChoose(value));
    group.append(button);
  }
  return group;
}

function facts({ meta }: Profile, model: FlameModel): HTMLElement {
  const list = h('ul', { className: 'facts' });
  const add = (text: string, title = ''): void => {
    list.append(h('li', { title }, text));
  };
  if (meta.node !== '') add(toDisplay(meta.node, 80), 'Node');
  if (meta.pid !== undefined) add(`pid ${meta.pid}`);
  if (meta.startedAt !== undefined) {
    add(new Date(meta.startedAt).toLocaleString(), 'When sampling began, by this computer’s clock');
  }
  if (meta.durationMs > 0) add(formatDuration(meta.durationMs), 'Time sampled');
  add(
    formatWeight(model.total, meta.unit),
    `Weight of what is shown (${kindNames[model.kind].label})`,
  );
  if (meta.rateAskedHz !== undefined) {
    const got = meta.rateGotHz === undefined ? '' : `${meta.rateGotHz.toFixed(1)} of `;
    add(`${got}${meta.rateAskedHz} Hz`, 'Samples a second: got of asked for');
  }
  add(samplerText(meta), toDisplay(meta.sampler.reason));
  return list;
}

/** The sampler and its own cost on the node. */
function samplerText({ sampler, durationMs }: ProfileMeta): string {
  const name = toDisplay(sampler.name, 40);
  if (sampler.cpuSeconds === undefined || durationMs <= 0) return name;
  return `${name} used ${formatShare((sampler.cpuSeconds * 1000) / durationMs)} of a processor`;
}

function notes(meta: ProfileMeta): HTMLElement {
  const losses = [
    ...(meta.missed > 0 ? [`Missed samples (not taken in time): ${meta.missed}.`] : []),
    ...(meta.torn > 0 ? [`Torn samples (the stack changed while it was read): ${meta.torn}.`] : []),
  ];
  const all = [...losses, ...meta.notes.map((note) => toDisplay(note, 500))];
  if (all.length === 0) return h('div', { hidden: true });
  const list = h('ul', {}, ...all.map((note) => h('li', {}, note)));
  const summary = h('summary', {}, all.length === 1 ? '1 note' : `${all.length} notes`);
  return h('details', { className: 'notes' }, summary, list);
}
