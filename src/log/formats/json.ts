// JSON, one object a line: pino (https://getpino.io) and its many relatives (bunyan, zap, structlog …).

import {
  contextIdNames,
  levelFieldNames,
  levelNames,
  messageNames,
  noContextValues,
  timeNames,
} from './fieldNames.ts';
import type { LogFormat } from './format.ts';

export const json: LogFormat = {
  name: 'json',
  title: 'JSON (pino and others)',
  starts: '^[ \\t]*[{][ \\t]*"',
  fields: 'json',
  time: timeNames,
  level: levelFieldNames,
  message: messageNames,
  contextId: contextIdNames,
  // pino's and bunyan's numbers beside the words.
  levelNames: {
    ...levelNames,
    10: 'trace',
    20: 'debug',
    30: 'info',
    40: 'warn',
    50: 'error',
    60: 'fatal',
  },
  noContext: noContextValues,
  continuation: 'traceback',
  samples: [
    {
      raw: '{"level":30,"time":1795328274123,"pid":7,"hostname":"web-1","reqId":"req-7f3a","msg":"GET /orders/7"}',
      time: '2026-11-22T06:17:54.123Z',
      level: 'info',
      contextId: 'req-7f3a',
      message: 'GET /orders/7',
      fields: { pid: 7, hostname: 'web-1' },
    },
    {
      raw: '{"level":50,"time":1795328274123,"req":{"id":"req-7f3a"},"err":{"type":"Error","message":"boom","stack":"Error: boom\\n    at f (/srv/a.js:1:2)"},"msg":"failed"}',
      time: '2026-11-22T06:17:54.123Z',
      level: 'error',
      contextId: 'req-7f3a',
      message: 'failed',
    },
    {
      raw: '{"timestamp":"2026-11-22T06:17:54.123456Z","level":"WARNING","message":"slow","trace_id":"0af7651916cd43dd8448eb211c80319c"}',
      time: '2026-11-22T06:17:54.123456Z',
      level: 'warn',
      contextId: '0af7651916cd43dd8448eb211c80319c',
      message: 'slow',
    },
    {
      raw: '{"@timestamp":"2026-11-22T07:17:54.123+01:00","log":{"level":"info"},"message":"ecs","trace":{"id":"abc"}}',
      time: '2026-11-22T06:17:54.123Z',
      level: 'info',
      contextId: 'abc',
      message: 'ecs',
    },
    {
      raw: '{"ts":1795328274.123,"lvl":"err","event":"zap","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}',
      time: '2026-11-22T06:17:54.123Z',
      level: 'error',
      contextId: '0af7651916cd43dd8448eb211c80319c',
      message: 'zap',
    },
    {
      // Without a zone it is the node's local time; ids of 64 bits keep their digits.
      raw: '{"time":"2026-11-22 07:17:54,123","severity":"Critical","message":"x","dd.trace_id":9223372036854775807}',
      time: '2026-11-22T06:17:54.123Z',
      level: 'fatal',
      contextId: '9223372036854775807',
      message: 'x',
    },
    {
      raw: '{"msg":"no time, no level","request_id":null}',
      time: undefined,
      level: undefined,
      contextId: undefined,
      message: 'no time, no level',
    },
    {
      raw: '{"__proto__":{"level":60},"constructor":1,"msg":"hostile","level":{"a":1},"time":true}',
      time: undefined,
      level: undefined,
      contextId: undefined,
      message: 'hostile',
    },
    {
      raw: '{"level":50,"time":1795328274123,"msg":"task failed"}\nTraceback (most recent call last):\n  File "/srv/shop/settle.py", line 7, in settle\n    total = prices[name]\nKeyError: \'tax\'',
      time: '2026-11-22T06:17:54.123Z',
      level: 'error',
      contextId: undefined,
      message: 'task failed',
    },
  ],
};
