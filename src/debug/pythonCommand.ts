// The command line of a Python program, taken apart as CPython does: options of the interpreter, what it
// runs, and the program's own arguments. A debugger has to be put between them.

export interface PythonCommand {
  /** Options of the interpreter, e.g. `-u` or `-X` `dev`. */
  readonly flags: readonly string[];
  readonly target: PythonTarget;
  readonly args: readonly string[];
}

export interface PythonTarget {
  /** `program` is a file or a directory, `module` is run with `-m`, `code` with `-c`. */
  readonly kind: 'program' | 'module' | 'code';
  readonly value: string;
}

/** Whether a command of this name, or at this path, is a Python interpreter. */
export function isPythonInterpreter(command: string): boolean {
  const name = command.slice(command.lastIndexOf('/') + 1);
  return /^(?:python|pypy)(?:\d+(?:\.\d+)*[a-z]{0,2})?(?:-dbg|-intel64)?$/.test(name);
}

/**
 * What the interpreter `argv[0]` would run. Undefined when that is no file, module or text: an interactive
 * interpreter, a program read from stdin, `--version`.
 */
export function parsePythonCommand(argv: readonly string[]): PythonCommand | undefined {
  const flags: string[] = [];
  for (let index = 1; index < argv.length; index++) {
    const word = argv[index]!;
    if (word === '--') return programAt(argv, index + 1, flags);
    if (word === '-' || word === '--help' || word === '--version') return undefined;
    if (!word.startsWith('-')) return programAt(argv, index, flags);
    if (word.startsWith('--')) {
      // The only long option with a value of its own.
      flags.push(
        word,
        ...(word === '--check-hash-based-pycs' ? argv.slice(++index, index + 1) : []),
      );
      continue;
    }
    const parsed = parseLetters(word);
    if (parsed === undefined) return undefined;
    if (parsed.letters !== '') flags.push(`-${parsed.letters}`);
    if (parsed.option === undefined) continue;
    const value = parsed.value ?? argv[++index];
    if (value === undefined) return undefined;
    if (parsed.option === 'c' || parsed.option === 'm') {
      const kind = parsed.option === 'c' ? 'code' : 'module';
      return { flags, target: { kind, value }, args: argv.slice(index + 1) };
    }
    flags.push(`-${parsed.option}`, value);
  }
  return undefined;
}

function programAt(
  argv: readonly string[],
  index: number,
  flags: readonly string[],
): PythonCommand | undefined {
  const value = argv[index];
  if (value === undefined || value === '-') return undefined;
  return { flags, target: { kind: 'program', value }, args: argv.slice(index + 1) };
}

interface Letters {
  /** Options without a value. */
  readonly letters: string;
  /** The option that takes a value and ends the word, with the value that follows in the same word. */
  readonly option: string | undefined;
  readonly value: string | undefined;
}

/** One word of short options, e.g. `-Bum`. Undefined when one of them makes the interpreter run nothing. */
function parseLetters(word: string): Letters | undefined {
  const [, letters = '', option, value] = /^-([^cmWXQ]*)(?:([cmWXQ])(.+)?)?$/s.exec(word) ?? [];
  if (/[hV?]/.test(letters)) return undefined;
  return { letters, option, value };
}

/** A script's first line, when it names a Python interpreter: the interpreter's options in it. */
export function parsePythonShebang(line: string): readonly string[] | undefined {
  const [, interpreter = '', rest = ''] = /^#!\s*(\S+)\s*(.*?)\s*$/.exec(line) ?? [];
  // The kernel hands all that follows the interpreter over as one argument.
  if (isPythonInterpreter(interpreter)) return rest === '' ? [] : [rest];
  if (!/(?:^|\/)env$/.test(interpreter)) return undefined;
  const words = rest.split(/\s+/).filter((word) => word !== '-S');
  return words[0] !== undefined && isPythonInterpreter(words[0]) ? words.slice(1) : undefined;
}
