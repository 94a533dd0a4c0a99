// A shell where a recorded run was: its directory, its umask, its variables.

import { toDisplay } from '../base/displayText.ts';
import type { RemoteCommand } from '../remote/shell.ts';
import { isRedacted, type RunRecord } from '../run/runRecord.ts';

/**
 * Starts the user's shell with exactly the recorded variables, and `TERM`, which is the terminal's. Secrets that
 * were masked in the record are left out, and said to be. The shell's start-up files are not read: they would
 * change the variables again.
 */
export function runTerminalCommand(
  record: Pick<RunRecord, 'cwd' | 'umask' | 'env'>,
): RemoteCommand {
  const variables = Object.entries(record.env);
  const masked = variables.filter(([, value]) => isRedacted(value)).map(([name]) => name);
  const notes = [
    ...(masked.length === 0
      ? []
      : [`Not set, because they were masked in the record: ${toDisplay(masked.join(', '), 500)}`]),
    ...('ENV' in record.env ? ['Not set, because a shell would run what it names: ENV'] : []),
  ];
  const pairs = variables.flatMap(([name, value]) =>
    isRedacted(value) ? [] : [`${name}=${value}`],
  );
  return { script, args: [record.cwd.logical, record.umask, notes.join('; '), ...pairs] };
}

// The variables are set by builtins and not by env(1): what a program is given as arguments is there for all
// users of the node to see. Names that sh does not take (`BASH_FUNC_x%%`) are passed over.
const script = `
__faultline_say() { printf 'faultline: %s\\r\\n' "$1"; }
cd -- "$1" || __faultline_say 'the directory of the run cannot be entered'
umask "$2"
[ -z "$3" ] || __faultline_say "$3"
shift 3
__faultline_shell=\${SHELL:-/bin/sh}
for __faultline_name in $(awk 'BEGIN { for (name in ENVIRON) print name }'); do
  case $__faultline_name in
    TERM | [0-9]* | *[!A-Za-z0-9_]*) ;;
    *) (unset "$__faultline_name") 2>/dev/null && unset "$__faultline_name" ;;
  esac
done
for __faultline_pair in "$@"; do
  case \${__faultline_pair%%=*} in
    TERM | ENV | [0-9]* | *[!A-Za-z0-9_]*) ;;
    *) (export "$__faultline_pair") 2>/dev/null && export "$__faultline_pair" ;;
  esac
done
case \${__faultline_shell##*/} in
  bash) set -- --noprofile --norc -i ;;
  zsh) set -- -f -i ;;
  fish) set -- --no-config -i ;;
  csh | tcsh) set -- -f -i ;;
  *) set -- -i ;;
esac
exec "$__faultline_shell" "$@"
`;
