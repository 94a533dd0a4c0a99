// Runs a probe's Python program on a node without leaving a file there: the interpreter reads the program's
// text from its stdin, then the program reads its input from the rest.

import type { RemoteCommand } from '../remote/shell.ts';
import { probeSource } from './sources.ts';

/** A Python text that reads the program's length and text from stdin and runs it as `__main__`. */
const bootstrap =
  'import sys,os\n' +
  'n=b""\n' +
  'while not n.endswith(b"\\n"):\n' +
  ' c=os.read(0,1)\n' +
  ' if not c: sys.exit(97)\n' +
  ' n+=c\n' +
  'n=int(n); b=b""\n' +
  'while len(b)<n:\n' +
  ' c=os.read(0,n-len(b))\n' +
  ' if not c: sys.exit(97)\n' +
  ' b+=c\n' +
  'exec(compile(b,"<faultline>","exec"),{"__name__":"__main__","__builtins__":__builtins__})';

export interface PythonProgram {
  readonly command: RemoteCommand;
  /** To be written to stdin first; what follows is the program's own input. */
  readonly input: Buffer;
}

export interface PythonOptions {
  /** Interpreter to run it with. Default: the first `python3` on the node's PATH. */
  readonly python?: string;
  /** Options of the interpreter, e.g. `-I`. Default: `-I -S`, as the probes need no packages. */
  readonly flags?: readonly string[];
  readonly args?: readonly (string | Uint8Array)[];
  /** What it is for, in a few words. Default: the file's name. */
  readonly title?: string;
}

/** Exit code 127 with nothing on stdout means: no such interpreter on the node. */
export function pythonProgram(file: string, options: PythonOptions = {}): PythonProgram {
  const text = Buffer.from(probeSource(file), 'utf8');
  return {
    command: {
      title: options.title ?? file,
      program: text.toString('utf8'),
      script: 'exec "$@"',
      args: [
        options.python ?? 'python3',
        ...(options.flags ?? ['-I', '-S']),
        '-c',
        bootstrap,
        ...(options.args ?? []),
      ],
    },
    input: Buffer.concat([Buffer.from(`${text.length}\n`), text]),
  };
}
