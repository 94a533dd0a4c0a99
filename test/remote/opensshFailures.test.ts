// The words are what OpenSSH 9.2 said, unless a line says otherwise.

import assert from 'node:assert/strict';
import test from 'node:test';
import { ConnectionReport } from '../../src/remote/connectionReport.ts';
import { opensshFailure } from '../../src/remote/opensshFailures.ts';
import { OpensshLog } from '../../src/remote/opensshLog.ts';
import { sshTarget } from '../fakes/sshTarget.ts';

const connected = `OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026
debug1: Connecting to 127.0.0.1 [127.0.0.1] port 2222.
debug1: Connection established.`;
const spoke = `${connected}
debug1: Local version string SSH-2.0-OpenSSH_9.2p1
debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1
debug1: Authenticating to 127.0.0.1:2222 as 'me'`;
const keyed = `${spoke}
debug1: Server host key: ssh-ed25519 SHA256:abc`;
const trusted = `${keyed}
debug1: Host '[127.0.0.1]:2222' is known and matches the ED25519 host key.
debug1: SSH2_MSG_SERVICE_ACCEPT received
debug1: Authentications that can continue: publickey,password`;
const behindJump = trusted.replaceAll('2222', '2200').replace("as 'me'", "as 'jumper'");

const cases: readonly (readonly [title: string, log: string, code: string, message: RegExp])[] = [
  [
    'no such name',
    'ssh: Could not resolve hostname nope.invalid: Name or service not known',
    'node.nameNotFound',
    /^The name nope\.invalid of node was not found\.$/,
  ],
  [
    'no name server',
    'ssh: Could not resolve hostname web: Temporary failure in name resolution',
    'node.nameNotFound',
    /could not be looked up/,
  ],
  ...(
    [
      ['Connection refused', 'node.refused', /refused the connection at 127\.0\.0\.1:2222/],
      ['No route to host', 'node.noRoute', /no route to node/],
      ['Network is unreachable', 'node.noRoute', /no route to node/],
      ['Connection timed out', 'node.noAnswer', /does not answer at 127\.0\.0\.1:2222/],
      ['Operation timed out', 'node.noAnswer', /does not answer/],
      ['Permission denied', 'node.unreachable', /\(Permission denied\)/],
    ] as const
  ).map(
    ([words, code, message]) =>
      [words, `ssh: connect to host 127.0.0.1 port 2222: ${words}`, code, message] as const,
  ),
  [
    'silence',
    `${connected}\nConnection timed out during banner exchange\nConnection to 127.0.0.1 port 2222 timed out`,
    'node.handshakeTimeout',
    /did not finish the SSH handshake/,
  ],
  [
    'closed before the version',
    `${connected}\nkex_exchange_identification: Connection closed by remote host\nConnection closed by 127.0.0.1 port 2222`,
    'node.closed',
    /closed the connection before the login/,
  ],
  [
    'reset in the key exchange',
    `${spoke}\nkex_exchange_identification: read: Connection reset by peer`,
    'node.closed',
    /closed the connection/,
  ],
  [
    'HTTP',
    `${connected}\ndebug1: kex_exchange_identification: banner line 0: HTTP/1.1 400 Bad Request\nkex_exchange_identification: Connection closed by remote host`,
    'node.notSsh',
    /HTTP\/1\.1 400 Bad Request/,
  ],
  [
    'a text before the version is allowed',
    `${connected}\ndebug1: kex_exchange_identification: banner line 0: Hello\n${spoke}\nConnection closed by 127.0.0.1 port 2222`,
    'node.closed',
    /closed the connection/,
  ],
  [
    'no common algorithm',
    `${spoke}\nUnable to negotiate with 127.0.0.1 port 2222: no matching host key type found. Their offer: ssh-dss`,
    'node.noCommonAlgorithm',
    /no matching host key type found\. Their offer: ssh-dss\.$/,
  ],
  [
    'strict and unknown',
    `${keyed}\nNo ED25519 host key is known for [127.0.0.1]:2222 and you have requested strict checking.\nHost key verification failed.`,
    'node.hostKeyUnknown',
    /^The host key of \[127\.0\.0\.1\]:2222 is not known \(ssh-ed25519 SHA256:abc\)\.$/,
  ],
  [
    'changed, and of another type',
    `${keyed}\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nOffending RSA key in /k:3\nHost key verification failed.`,
    'node.hostKeyChanged',
    /offers ssh-ed25519 SHA256:abc, but only a key of another type, RSA, is on file \(\/k:3\)/,
  ],
  [
    'revoked',
    `${keyed}\n@       WARNING: REVOKED HOST KEY DETECTED!               @\nHost key verification failed.`,
    'node.hostKeyRevoked',
    /marked as revoked/,
  ],
  [
    'refused',
    `${trusted}
no such identity: /none: No such file or directory
debug1: Next authentication method: publickey
debug1: Offering public key: /k ED25519 SHA256:x explicit
debug1: Offering public key: me@laptop RSA SHA256:y agent
debug1: Offering public key: /c-cert.pub ED25519-CERT SHA256:z explicit
debug1: Trying private key: /none
no such identity: /none: No such file or directory
debug1: Next authentication method: password
me@127.0.0.1: Permission denied (publickey,password).`,
    'node.authRefused',
    /^node refused the login of me \(tried: key \/k, agent key me@laptop, key certificate \/c-cert\.pub, password\)\.$/,
  ],
  [
    'too many keys',
    `${trusted}\ndebug1: Next authentication method: publickey\nReceived disconnect from 127.0.0.1 port 2222:2: Too many authentication failures\nDisconnected from 127.0.0.1 port 2222`,
    'node.authRefused',
    /refused the login of me/,
  ],
  [
    'an agent that is gone',
    `${trusted}\ndebug1: get_agent_identities: ssh_get_authentication_socket: No such file or directory\nme@127.0.0.1: Permission denied (publickey).`,
    'node.authRefused',
    /tried: the agent \(No such file or directory\)/,
  ],
  [
    'a banner that lies',
    `${trusted}\nssh: connect to host 127.0.0.1 port 2222: Connection refused\nHost key verification failed.\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nme@127.0.0.1: Permission denied (publickey).`,
    'node.authRefused',
    /refused the login/,
  ],
  [
    'refused by the jump host',
    `debug1: Executing proxy command: exec ssh -W '[%h]:%p' jump\n${behindJump}\njumper@127.0.0.1: Permission denied (publickey).\nkex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535`,
    'node.authRefused',
    /^node \(jump jump\) refused the login of jumper/,
  ],
  [
    'refused behind the jump host',
    `${behindJump}\nAuthenticated to 127.0.0.1 ([127.0.0.1]:2200) using "publickey".\nchannel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\nkex_exchange_identification: Connection closed by remote host`,
    'node.jumpRefused',
    /could not reach 127\.0\.0\.1:2222 for node \(connect failed: Connection refused\)/,
  ],
  [
    'no askpass',
    `${trusted}\nssh_askpass: exec(/tmp/fl-x/askpass): Permission denied\nme@127.0.0.1: Permission denied (password).`,
    'ssh.askpassBlocked',
    /\(Permission denied\)/,
  ],
  [
    'anything else',
    `${spoke}\nsomething \u001b[31mnew`,
    'node.loginFailed',
    /^The login on node failed: something ‹ESC›\[31mnew\.$/,
  ],
  ['nothing at all', '', 'node.loginFailed', /ssh ended without a word|failed: \./],
];

for (const [title, text, code, message] of cases) {
  test(title, () => {
    const log = new OpensshLog(new ConnectionReport());
    for (const line of text.split('\n')) log.accept(line);
    const target = sshTarget({ alias: 'web', port: 2222, user: 'me' });
    const hops = [sshTarget({ alias: 'jump', port: 2200 })];
    const error = opensshFailure({ node: 'node', target, hops, canAsk: false }, log);
    assert.equal(error.code, code);
    assert.match(error.message, message);
  });
}

test('the report has a step for each thing that ssh does, and how long it took', () => {
  const report = new ConnectionReport();
  const log = new OpensshLog(report);
  const end = 'Authenticated to 127.0.0.1 ([127.0.0.1]:2222) using "publickey".';
  for (const line of `${trusted}\n${end}`.split('\n')) log.accept(line);
  assert.deepEqual(
    report.steps.map(({ title, outcome, detail }) => [outcome, title, detail]),
    [
      ['ok', 'Use the ssh program of this machine', 'OpenSSH_9.2p1'],
      ['ok', 'Connect to 127.0.0.1:2222', undefined],
      ['ok', 'Hear which SSH it speaks', 'OpenSSH_9.2p1'],
      ['ok', 'Agree on keys and ciphers', undefined],
      ['ok', 'Check the host key', 'ssh-ed25519 SHA256:abc'],
      ['ok', 'Log in as me', 'with publickey'],
    ],
  );
});
