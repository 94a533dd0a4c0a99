// Add node: paste a command, name it, choose where it is kept, and see whether it can be reached.

import * as vscode from 'vscode';
import { describeError, isAbort, UserError } from '../base/errors.ts';
import { toDisplay, toNotice } from '../base/displayText.ts';
import {
  hostBlock,
  insertBlock,
  missingParts,
  nameProblem,
  previewBlock,
  programsOf,
  removeBlock,
  settingsEntry,
} from '../remote/addNode.ts';
import type { Node } from '../remote/node.ts';
import {
  defaultConfigFile,
  listHosts,
  resolveHost,
  type SshConfigOptions,
} from '../remote/sshConfig.ts';
import { isPlain, parseSshCommandLine, type TypedNode } from '../remote/sshCommandLine.ts';
import { abortSignalOf } from './cancellation.ts';
import type { CommandsOf } from './names.ts';
import { askChoice, askText, goBack, type Remark } from './steps.ts';

export interface AddNodeUses {
  readonly nodes: readonly Node[];
  /** Connects; rejects with the reason when that fails. */
  connect(node: Node, signal: AbortSignal): Promise<unknown>;
  refreshNodes(): Promise<void>;
  reveal(node: Node): Promise<void>;
  sshOptions(): SshConfigOptions;
}

/** Where a node is kept, and how it is taken away again (false: that is not possible any more). */
interface Kept {
  undo(): Promise<boolean>;
}

interface Draft {
  readonly text: string;
  readonly name: string;
}

const title = 'Add Node';
const totalSteps = 3;
const correct = 'Correct…';

export class AddNode {
  private readonly uses: AddNodeUses;
  /** What was typed and did not come to a node that can be reached: the next time begins with it. */
  private kept = '';

  constructor(uses: AddNodeUses) {
    this.uses = uses;
  }

  commands(): CommandsOf<'addNode'> {
    return { addNode: () => this.run() };
  }

  private async run(): Promise<void> {
    let draft: Draft | undefined = { text: this.kept, name: '' };
    while (draft !== undefined) draft = await this.addOne(draft);
  }

  /** Asks, keeps, tests. The draft to correct, when the user wants to. */
  private async addOne(draft: Draft): Promise<Draft | undefined> {
    const answers = await this.ask(draft);
    if (answers === undefined) return undefined;
    const { text, name, kept } = answers;
    await this.uses.refreshNodes();
    const node = this.uses.nodes.find((candidate) => candidate.name === name);
    if (node === undefined) {
      throw new UserError('addNode.notListed', `${name} was added, but is not listed.`, {
        hint: 'Check faultline.ssh.configFile and faultline.nodes in the settings.',
      });
    }
    await this.uses.reveal(node);
    const failure = await this.test(node);
    if (failure === undefined) {
      this.kept = '';
      return undefined;
    }
    const choice = await vscode.window.showErrorMessage(toNotice(failure, 600), correct, 'Keep It');
    if (choice !== correct) return undefined;
    if (kept !== undefined && !(await kept.undo())) {
      throw new UserError('addNode.changedMeanwhile', `${name} was changed elsewhere meanwhile.`, {
        hint: 'Correct it there.',
      });
    }
    if (kept !== undefined) await this.uses.refreshNodes();
    return { text, name };
  }

  /** The three steps; `kept` is undefined for a node that was there before. */
  private async ask(
    draft: Draft,
  ): Promise<{ text: string; name: string; kept: Kept | undefined } | undefined> {
    let { text, name } = draft;
    let step = 1;
    for (;;) {
      if (step === 1) {
        const typed = await this.askWhere(text);
        if (typed === undefined || typed === goBack) return undefined;
        if (typed !== text) name = '';
        text = typed;
        this.kept = text;
        const known = this.alreadyListed(parseSshCommandLine(text));
        if (known !== undefined) return { text, name: known.name, kept: undefined };
        step = 2;
      } else if (step === 2) {
        const typed = await this.askName(name === '' ? parseSshCommandLine(text).host : name);
        if (typed === undefined) return undefined;
        if (typed !== goBack) name = typed;
        step = typed === goBack ? 1 : 3;
      } else {
        const kept = await this.askKeep(name, parseSshCommandLine(text));
        if (kept === undefined) return undefined;
        if (kept !== goBack) return { text, name, kept };
        step = 2;
      }
    }
  }

  /** A name that is a node's already needs nothing written. */
  private alreadyListed(typed: TypedNode): Node | undefined {
    if (!isPlain(typed) || typed.user !== undefined || typed.port !== undefined) return undefined;
    return this.uses.nodes.find(({ name }) => name === typed.host);
  }

  private askWhere(value: string): Promise<string | typeof goBack | undefined> {
    return askText({
      title,
      step: 1,
      totalSteps,
      value,
      placeholder: 'ssh -p 2222 me@host -J bastion',
      prompt: 'Paste an ssh command, or type user@host:port, a host, or an ssh:// address.',
      check: remarkOnCommand,
    });
  }

  private askName(value: string): Promise<string | typeof goBack | undefined> {
    const taken = this.uses.nodes.map((node) => node.name);
    return askText({
      title,
      step: 2,
      totalSteps,
      value: nameProblem(value, []) === undefined ? value : value.replace(/[^\w.-]+/g, '-'),
      prompt: 'The name of the node. In an ssh configuration it is the name that ssh takes, too.',
      check: async (name) => {
        const message = nameProblem(name.trim(), taken);
        return message === undefined ? undefined : { message, isError: true };
      },
    }).then((name) => (typeof name === 'string' ? name.trim() : name));
  }

  private async askKeep(name: string, typed: TypedNode): Promise<Kept | typeof goBack | undefined> {
    const file = this.uses.sshOptions().configFile ?? defaultConfigFile();
    const inConfig = {
      label: `$(file) ${file}`,
      detail: 'A Host block: ssh and other tools know the node, too.',
      value: 'config' as const,
    };
    const inSettings = {
      label: '$(settings-gear) Your user settings',
      detail: 'An entry of faultline.nodes, where labels and logs can be added.',
      value: 'settings' as const,
    };
    // Keys and jump hosts have their one place in the ssh configuration.
    const choices = isPlain(typed) ? [inConfig, inSettings] : [inConfig];
    const placeholder = 'Where to keep it. The exact text is shown before anything is written.';
    const place = await askChoice({ title, step: 3, totalSteps, placeholder, choices });
    if (place === undefined || place === goBack) return place;
    return place === 'config' ? this.keepInConfig(name, typed, file) : keepInSettings(name, typed);
  }

  private async keepInConfig(
    name: string,
    typed: TypedNode,
    file: string,
  ): Promise<Kept | typeof goBack | undefined> {
    const options = this.uses.sshOptions();
    const isAlias = (await listHosts(file)).includes(typed.host);
    const alias = isAlias ? await resolveHost(typed.host, options) : undefined;
    const block = hostBlock(name, typed, alias);
    const { place, surprises } = await previewBlock(name, block, typed, file, options);
    const programs = programsOf(typed).map((program) => `This runs on your machine: ${program}`);
    const where =
      place === 'end'
        ? []
        : ['It goes before the other hosts, since a line for all of them would decide otherwise.'];
    const add = 'Add';
    const choice = await vscode.window.showInformationMessage(
      `Add this to ${toDisplay(file, 200)}?`,
      {
        modal: true,
        detail: [block, ...where, ...programs, ...surprises].map(displayLines).join('\n'),
      },
      add,
    );
    if (choice !== add) return goBack;
    const inserted = await insertBlock(file, block, place);
    return { undo: () => removeBlock(file, inserted) };
  }

  /** Why the node cannot be reached; undefined when it can, or when the user does not want to know. */
  private async test(node: Node): Promise<string | undefined> {
    const options = {
      location: vscode.ProgressLocation.Notification,
      title: `Connecting to ${toNotice(node.name, 60)}`,
      cancellable: true,
    };
    try {
      await vscode.window.withProgress(options, (_, token) =>
        this.uses.connect(node, abortSignalOf(token)),
      );
      return undefined;
    } catch (error) {
      return isAbort(error) ? undefined : describeError(error);
    }
  }
}

/** What is wrong with a typed command, else what of it is not used, else nothing. */
async function remarkOnCommand(text: string): Promise<Remark | undefined> {
  try {
    const typed = parseSshCommandLine(text);
    const notUsed = typed.unsupported.map((piece) => `Not used: ${piece}.`);
    const message = [...(await missingParts(typed)), ...notUsed].join(' ');
    return message === '' ? undefined : { message, isError: false };
  } catch (error) {
    if (error instanceof UserError) return { message: describeError(error), isError: true };
    throw error;
  }
}

function displayLines(text: string): string {
  return text
    .split('\n')
    .map((line) => toDisplay(line, 300))
    .join('\n');
}

/** Adds to what the user's own settings say, whatever a workspace adds to that. */
async function keepInSettings(name: string, typed: TypedNode): Promise<Kept> {
  const entry = settingsEntry(name, typed);
  await updateNodes((nodes) => [...nodes, entry]);
  return {
    undo: async () => {
      let isFound = false;
      await updateNodes((nodes) =>
        nodes.filter((node) => {
          const isOurs = JSON.stringify(node) === JSON.stringify(entry);
          isFound ||= isOurs;
          return !isOurs;
        }),
      );
      return isFound;
    },
  };
}

async function updateNodes(change: (nodes: readonly unknown[]) => unknown[]): Promise<void> {
  const settings = vscode.workspace.getConfiguration('faultline');
  const known = settings.inspect<unknown>('nodes')?.globalValue;
  if (known !== undefined && !Array.isArray(known)) {
    throw new UserError(
      'addNode.settingsInvalid',
      'faultline.nodes in your settings is not a list.',
      {
        hint: 'Correct it in settings.json, then try again.',
      },
    );
  }
  const next = change(known ?? []);
  const { Global: global } = vscode.ConfigurationTarget;
  await settings.update('nodes', next.length === 0 ? undefined : next, global);
}
