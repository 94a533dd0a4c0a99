// The kinds of exception at which a Python program stops, as the editor's list of breakpoints shows them.

import type { DebugProtocol } from '@vscode/debugprotocol';

export const exceptionFilters = {
  raised: 'raised',
  uncaught: 'uncaught',
  systemExit: 'systemExit',
} as const;

export const exceptionFilterList: readonly DebugProtocol.ExceptionBreakpointsFilter[] = [
  {
    filter: exceptionFilters.uncaught,
    label: 'Uncaught exceptions',
    description: 'Stop where an exception was raised that ends the program.',
    default: true,
  },
  {
    filter: exceptionFilters.raised,
    label: 'Raised exceptions',
    description: 'Stop wherever an exception is raised, also when it is caught later.',
    default: false,
  },
  {
    filter: exceptionFilters.systemExit,
    label: 'sys.exit()',
    description: 'Stop also where the program ends itself (SystemExit).',
    default: false,
  },
];
