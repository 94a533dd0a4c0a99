// A frame: one function of a program, as a profile knows it.

/**
 * Longest function or file name that is kept, in UTF-16 units (a node may send names of any
 * length).
 */
export const maxNameLength = 4096;

export interface Frame {
  readonly name: string;
  /** Path on the node as the program itself knows it; '' when unknown (built-in code). */
  readonly file: string;
  /** Line the function starts at, counted from 1; 0 when unknown. */
  readonly line: number;
}

/**
 * The frame with its names cut to what is kept and its line made sound. Nothing else is changed.
 */
export function soundFrame(frame: Frame): Frame {
  return {
    name: clipName(frame.name === '' ? '(anonymous)' : frame.name),
    file: clipName(frame.file),
    line: soundLine(frame.line),
  };
}

/** A line number counted from 1, or 0 for anything that cannot be one. */
export function soundLine(line: number): number {
  return Number.isInteger(line) && line > 0 && line < 2 ** 31 ? line : 0;
}

/** The text, cut to `maxNameLength` with a visible mark. */
export function clipName(text: string): string {
  return text.length > maxNameLength ? `${text.slice(0, maxNameLength - 1)}…` : text;
}

/**
 * Where code comes from, told by its file's path: what one wrote oneself is what one can change.
 */
export type FrameOrigin = 'own' | 'library' | 'runtime';

const libraryPath =
  /[\\/](?:site-packages|dist-packages|node_modules|lib(?:64)?[\\/]python\d[\d.]*)[\\/]/;

/**
 * `runtime` is code without a file (built-in, frozen or generated), `library` an installed package
 * or the language's standard library, `own` everything else.
 */
export function frameOrigin(file: string): FrameOrigin {
  if (file === '' || file.startsWith('<') || file.startsWith('node:')) return 'runtime';
  return libraryPath.test(file) ? 'library' : 'own';
}
