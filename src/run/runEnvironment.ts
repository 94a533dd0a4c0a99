// A run record → the part of an environment it tells, to be compared with a node's.

import { fromRunFacts, type Comparable } from '../env/comparable.ts';
import { redactionKey } from '../env/redactionKey.ts';
import type { RunRecord } from './runRecord.ts';

export function environmentOfRun(record: RunRecord): Comparable {
  return fromRunFacts({
    label: record.id,
    env: record.env,
    keyId: redactionKey(record.redaction.salt).id,
    user: record.user,
    umask: record.umask,
    cwd: record.cwd.logical,
    limits: record.limits,
    timezone: record.timezone,
    host: record.host,
    interpreter: record.interpreter,
    packages: record.packages,
  });
}
