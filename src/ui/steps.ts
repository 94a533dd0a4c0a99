// Questions in several steps, with their number and a way back, as in VS Code's own samples.

import * as vscode from 'vscode';

/** What a step ends with, when not with an answer. */
export const goBack = Symbol('back');

export interface Step {
  readonly title: string;
  readonly step: number;
  readonly totalSteps: number;
  readonly placeholder?: string;
}

/** What is to be said about a text while it is typed; an error keeps it from being accepted. */
export interface Remark {
  readonly message: string;
  readonly isError: boolean;
}

export interface TextStep extends Step {
  readonly value: string;
  readonly prompt: string;
  /** May take its time; the remark about an older text is dropped. */
  readonly check: (value: string) => Promise<Remark | undefined>;
}

export interface ChoiceStep<T> extends Step {
  readonly choices: readonly (vscode.QuickPickItem & { readonly value: T })[];
}

/** The text; `goBack`; undefined when it was cancelled. Stays open when another window gets the focus. */
export function askText(step: TextStep): Promise<string | typeof goBack | undefined> {
  const box = vscode.window.createInputBox();
  box.value = step.value;
  box.prompt = step.prompt;
  const remark = async (value: string): Promise<boolean> => {
    const found = await step.check(value);
    if (box.value !== value) return false;
    box.validationMessage = found === undefined ? undefined : severe(found);
    return found?.isError !== true;
  };
  box.onDidChangeValue((value) => {
    // An error is told when the text is done; while it is typed, it would only be in the way.
    box.validationMessage = undefined;
    void step.check(value).then((found) => {
      if (box.value === value && found?.isError === false) box.validationMessage = severe(found);
    });
  });
  return ask(box, step, async () => {
    const value = box.value;
    return (await remark(value)) ? value : undefined;
  });
}

export function askChoice<T>(step: ChoiceStep<T>): Promise<T | typeof goBack | undefined> {
  const pick = vscode.window.createQuickPick<vscode.QuickPickItem & { readonly value: T }>();
  pick.items = step.choices;
  pick.matchOnDetail = true;
  return ask(pick, step, async () => pick.selectedItems[0]?.value);
}

function severe({ message, isError }: Remark): vscode.InputBoxValidationMessage {
  const { Error: error, Info: info } = vscode.InputBoxValidationSeverity;
  return { message, severity: isError ? error : info };
}

/** Shows the input until `answer` gives a value, or it is left. */
function ask<T>(
  input: vscode.InputBox | vscode.QuickPick<vscode.QuickPickItem & { readonly value: T }>,
  step: Step,
  answer: () => Promise<T | undefined>,
): Promise<T | typeof goBack | undefined> {
  input.title = step.title;
  input.step = step.step;
  input.totalSteps = step.totalSteps;
  input.placeholder = step.placeholder;
  input.ignoreFocusOut = true;
  input.buttons = step.step > 1 ? [vscode.QuickInputButtons.Back] : [];
  return new Promise((resolve, reject) => {
    let result: T | typeof goBack | undefined;
    const end = (value: T | typeof goBack): void => {
      result = value;
      input.hide();
    };
    input.onDidAccept(() => {
      answer().then((value) => {
        if (value !== undefined) end(value);
      }, reject);
    });
    input.onDidTriggerButton((button) => {
      if (button === vscode.QuickInputButtons.Back) end(goBack);
    });
    input.onDidHide(() => {
      input.dispose();
      resolve(result);
    });
    input.show();
  });
}
