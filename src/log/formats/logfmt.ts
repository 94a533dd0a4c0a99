// logfmt: `key=value key="quoted value" …` (https://brandur.org/logfmt).

import {
  contextIdNames,
  levelFieldNames,
  levelNames,
  messageNames,
  noContextValues,
  timeNames,
} from './fieldNames.ts';
import type { LogFormat } from './format.ts';

export const logfmt: LogFormat = {
  name: 'logfmt',
  title: 'logfmt',
  starts:
    '^((time|ts|t|timestamp|level|lvl)=[^ ]+ [A-Za-z_@][A-Za-z0-9_.@-]*=' +
    '|[A-Za-z_@][A-Za-z0-9_.@-]*=.* (level|lvl|severity)=)',
  fields: 'logfmt',
  time: timeNames,
  level: levelFieldNames,
  message: messageNames,
  contextId: contextIdNames,
  levelNames,
  noContext: noContextValues,
  continuation: 'traceback',
  samples: [
    {
      raw: 'ts=2026-11-22T06:17:54.123Z level=info msg="order stored" request_id=req-7f3a order=7 ms=1.5',
      time: '2026-11-22T06:17:54.123Z',
      level: 'info',
      contextId: 'req-7f3a',
      message: 'order stored',
      fields: { order: '7', ms: '1.5' },
    },
    {
      raw: 'time="2026-11-22 07:17:54.123" level=ERROR msg="say \\"no\\"\\n" err="x=y" trace_id=- done',
      time: '2026-11-22T06:17:54.123Z',
      level: 'error',
      contextId: undefined,
      message: 'say "no"\n',
      fields: { err: 'x=y', done: '' },
    },
    {
      raw: 'app=store ts=1795328274.123 lvl=warn msg=short __proto__=x',
      time: '2026-11-22T06:17:54.123Z',
      level: 'warn',
      contextId: undefined,
      message: 'short',
      fields: { app: 'store' },
    },
    {
      raw: 'ts=2026-11-22T06:17:54Z level=error msg=failed request_id=req-1\nTraceback (most recent call last):\n  File "/srv/shop/store.py", line 3, in put\n    raise ValueError(x)\nValueError: x=1 y=2',
      time: '2026-11-22T06:17:54.000Z',
      level: 'error',
      contextId: 'req-1',
      message: 'failed',
    },
  ],
};
