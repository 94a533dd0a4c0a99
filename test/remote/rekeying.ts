// a long stream through a connection whose keys are changed again and again.

import assert from 'node:assert/strict';
import { splitLines } from '../../src/base/lines.ts';
import { sshConnector } from '../../src/remote/connect.ts';
import { startSshd } from '../fakes/sshd.ts';

export interface RekeyingResult {
  readonly lines: number;
  readonly wrong: number;
  /** Key exchanges after the first, as sshd counted them. */
  readonly rekeys: number;
  /** Questions about the host key. */
  readonly questions: number;
}

/** 50 characters and a line feed: a million lines are 51 MB. */
const format = '%09.0f a line that must arrive as it was sent...';

/** Follows `count` lines from an sshd that changes keys every 256 KiB and offers only `cipher`. */
export async function streamThroughRekeys(count: number, cipher: string): Promise<RekeyingResult> {
  const sshd = await startSshd({
    config: `RekeyLimit 256K\nCiphers ${cipher}\nMACs hmac-sha2-256-etm@openssh.com`,
    logLevel: 'DEBUG1',
  });
  try {
    const configFile = await sshd.config();
    let questions = 0;
    const connect = sshConnector(
      () => ({ configFile }),
      () => ({
        hostKey: () => {
          questions++;
          return Promise.resolve(false);
        },
      }),
    );
    const node = { name: 'node', host: 'node', labels: [], logs: [], origin: 'settings' } as const;
    const shell = await connect(node, new AbortController().signal);
    const program = await shell.start({
      script: 'exec seq -f "$1" 1 "$2"',
      args: [format, String(count)],
    });
    let lines = 0;
    let wrong = 0;
    for await (const line of splitLines(program.stdout)) {
      const expected = format.replace('%09.0f', String(++lines).padStart(9, '0'));
      if (line.text !== expected) wrong++;
    }
    assert.equal((await program.exited).exitCode, 0);
    shell.dispose();
    const exchanges = (await sshd.log()).split('SSH2_MSG_NEWKEYS received').length - 1;
    return { lines, wrong, rekeys: exchanges - 1, questions };
  } finally {
    await sshd.stop();
  }
}
