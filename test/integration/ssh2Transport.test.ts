// The promises of a transport, kept by ssh2.

import { createSsh2Transport } from '../../src/remote/ssh2Connection.ts';
import { transportSuite } from './transportSuite.ts';

transportSuite('ssh2', () => createSsh2Transport());
