// The log of remote commands of this process, with secrets masked by a key that nobody keeps.

import { redactArgv } from './redact.ts';
import { createRedactionKey } from './redactionKey.ts';
import { CommandLog } from '../remote/commandLog.ts';

export function maskedCommandLog(): CommandLog {
  const key = createRedactionKey();
  return new CommandLog((words) => redactArgv(words, key));
}
