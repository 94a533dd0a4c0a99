// Python's `logging` as text, in the layout of Synapse:
// `%(asctime)s - %(name)s - %(lineno)d - %(levelname)s - %(request)s - %(message)s`.

import { levelNames, noContextValues } from './fieldNames.ts';
import type { LogFormat } from './format.ts';

export const pythonLogging: LogFormat = {
  name: 'python-logging',
  title: 'Python logging (Synapse layout)',
  starts:
    '^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][ T][0-9][0-9]:[0-9][0-9]:[0-9][0-9][,.][0-9]+ - [^ ]+ - [0-9]+ - [A-Z]+ - ',
  fields:
    /^(?<asctime>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[,.]\d+) - (?<name>\S+) - (?<lineno>\d+) - (?<levelname>[A-Z]+) - (?<request>\S*) -(?: (?<message>.*))?$/s,
  time: ['asctime'],
  level: ['levelname'],
  message: ['message'],
  contextId: ['request'],
  levelNames,
  noContext: noContextValues,
  continuation: 'everything',
  samples: [
    {
      raw: '2026-11-22 07:17:54,123 - shop.worker - 42 - INFO - req-7f3a - settled order 7',
      time: '2026-11-22T06:17:54.123Z',
      level: 'info',
      contextId: 'req-7f3a',
      message: 'settled order 7',
      fields: { name: 'shop.worker', lineno: '42' },
    },
    {
      raw: '2026-11-22 07:17:54,123 - synapse.access.http.8008 - 515 - WARNING - POST-12- - a - b - c',
      time: '2026-11-22T06:17:54.123Z',
      level: 'warn',
      contextId: 'POST-12-',
      message: 'a - b - c',
    },
    {
      raw: '2026-11-22 07:17:54,123 - synapse.util.caches - 79 - CRITICAL - sentinel - ',
      time: '2026-11-22T06:17:54.123Z',
      level: 'fatal',
      contextId: undefined,
      message: '',
    },
    {
      raw: '2026-11-22 07:17:54,123 - shop.worker - 51 - ERROR - req-7f3a - settle failed\nTraceback (most recent call last):\n  File "/srv/shop/settle.py", line 7, in settle\n    total = prices[name]\nKeyError: \'tax\'\n\nDuring handling of the above exception, another exception occurred:\n\nlevel=odd text at the margin',
      time: '2026-11-22T06:17:54.123Z',
      level: 'error',
      contextId: 'req-7f3a',
      message: 'settle failed',
      fields: { name: 'shop.worker' },
    },
  ],
};
