// The names under which programs write the same thing (the OpenTelemetry log data model's aliases), shared
// by the formats that carry named fields. In order: the first one present wins.

import type { Level } from '../logEntry.ts';

export const timeNames = ['time', 'timestamp', 'ts', '@timestamp', 't', 'asctime', 'datetime'];

export const levelFieldNames = ['level', 'lvl', 'severity', 'log.level', 'levelname', 'loglevel'];

export const messageNames = [
  'msg',
  'message',
  'event',
  'log',
  'short_message',
  'err.message',
  'error.message',
];

export const contextIdNames = [
  'context_id',
  'contextId',
  'trace_id',
  'traceId',
  'trace.id',
  'traceID',
  'otelTraceID',
  'dd.trace_id',
  'traceparent',
  'X-B3-TraceId',
  'request_id',
  'requestId',
  'reqId',
  'req_id',
  'req.id',
  'request.id',
  'correlation_id',
  'correlationId',
  'x-request-id',
  'x-correlation-id',
  '_X_AMZN_TRACE_ID',
  'task_id',
];

/** Values that programs write outside any request. */
export const noContextValues = ['', '-', 'None', 'none', 'null', 'sentinel', 'undefined'];

export const levelNames: Readonly<Record<string, Level>> = {
  trace: 'trace',
  verbose: 'trace',
  silly: 'trace',
  debug: 'debug',
  dbg: 'debug',
  info: 'info',
  inf: 'info',
  information: 'info',
  notice: 'info',
  warn: 'warn',
  wrn: 'warn',
  warning: 'warn',
  error: 'error',
  err: 'error',
  severe: 'error',
  fatal: 'fatal',
  critical: 'fatal',
  crit: 'fatal',
  alert: 'fatal',
  emerg: 'fatal',
  emergency: 'fatal',
  panic: 'fatal',
};
