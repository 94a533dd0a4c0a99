import assert from 'node:assert/strict';
import test from 'node:test';
import { isPlain, parseSshCommandLine, type TypedNode } from '../../src/remote/sshCommandLine.ts';

const nothing: TypedNode = {
  host: 'web',
  user: undefined,
  port: undefined,
  jumps: [],
  identityFiles: [],
  options: [],
  unsupported: [],
};

const read: readonly [string, Partial<TypedNode>][] = [
  ['web', {}],
  ['  ssh web ', {}],
  ['$ ssh web', {}],
  ['/usr/bin/ssh web', {}],
  ['ssh', { host: 'ssh' }],
  ['me@web:2222', { user: 'me', port: 2222 }],
  ['ssh://me@web:2222', { user: 'me', port: 2222 }],
  ['ssh ssh://me@[::1]:7', { user: 'me', port: 7, host: '::1' }],
  [
    'ssh -p 2222 -i ~/.ssh/k me@host -J bastion1,bastion2 -o ConnectTimeout=5',
    {
      host: 'host',
      user: 'me',
      port: 2222,
      identityFiles: ['~/.ssh/k'],
      jumps: ['bastion1', 'bastion2'],
      options: [['ConnectTimeout', '5']],
    },
  ],
  ['ssh -p2222 -lme web', { user: 'me', port: 2222 }],
  ['ssh -l other -p 9 me@web:7', { user: 'me', port: 7 }],
  ['ssh -qvvtTnNCx web', {}],
  [
    'ssh -4 -i "/a b/k" -i \'c d\' web',
    { identityFiles: ['/a b/k', 'c d'], options: [['AddressFamily', 'inet']] },
  ],
  ['ssh -6i k web', { identityFiles: ['k'], options: [['AddressFamily', 'inet6']] }],
  ['ssh -i /a\\ b web', { identityFiles: ['/a b'] }],
  ['ssh -J me@b:22,ssh://c:7 web', { jumps: ['me@b:22', 'c:7'] }],
  ['ssh -J none web', {}],
  [
    'ssh -oport=7 -o User=me -o "ProxyJump b" -o identityfile=~/k -o hostkeyalias=x web',
    { user: 'me', port: 7, jumps: ['b'], identityFiles: ['~/k'], options: [['HostKeyAlias', 'x']] },
  ],
  ["ssh -o 'ProxyCommand=nc -x p:1 %h %p' web", { options: [['ProxyCommand', 'nc -x p:1 %h %p']] }],
  [
    'ssh -c aes128-ctr -m hmac-sha2-256 web',
    {
      options: [
        ['Ciphers', 'aes128-ctr'],
        ['MACs', 'hmac-sha2-256'],
      ],
    },
  ],
  ['ssh -A web', { unsupported: ['agent forwarding (-A)'] }],
  [
    'ssh -L 1:b:2 -D 7 -X web',
    { unsupported: ['forwarding of ports (-L)', 'forwarding of ports (-D)', 'X11 (-X)'] },
  ],
  [
    'ssh -F other web',
    {
      unsupported: [
        'another ssh configuration (there is the setting faultline.ssh.configFile) (-F)',
      ],
    },
  ],
  ['ssh web uptime -p 7', { unsupported: ['the command "uptime -p 7"'] }],
  ['ssh -t web -p 7 "sudo -i"', { port: 7, unsupported: ['the command "sudo -i"'] }],
  ['ssh -- web', {}],
  ['web me@b', { unsupported: ['the command "me@b"'] }],
  [
    'ssh -o PermitLocalCommand=yes -o LocalCommand=id web',
    {
      unsupported: [
        'PermitLocalCommand, which runs a program on this machine',
        'LocalCommand, which runs a program on this machine',
      ],
    },
  ],
];
for (const [text, expected] of read) {
  test(`typed: ${text}`, () => {
    assert.deepEqual(parseSshCommandLine(text), { ...nothing, ...expected });
  });
}

const wrong: readonly [string, RegExp][] = [
  ['', /Nothing was typed/],
  ['   ', /Nothing was typed/],
  ['ssh -p 2222', /names no host/],
  ['ssh -p', /Nothing stands after -p/],
  ['ssh -p many web', /"many" is no port/],
  ['ssh -p 0 web', /is no port/],
  ['web:99999', /not a valid host name/],
  [`-oProxyCommand=touch\${IFS}x`, /for a shell|not replaced/],
  ['-oProxyCommand=x', /names no host/],
  ['ssh -- -oProxyCommand=x', /"-oProxyCommand=x" is not a valid host name/],
  ['ssh -l -oProxyCommand=x web', /is no user name/],
  ['ssh -J -oProxyCommand=x web', /not a valid host name/],
  ['ssh -J a,,b web', /not a valid host name/],
  ['web; rm -rf ~', /";" is for a shell/],
  ['web && id', /"&" is for a shell/],
  ['web | sh', /"\|" is for a shell/],
  ['web > /tmp/x', /">" is for a shell/],
  ['ssh `id`', /for a shell/],
  ['ssh $(id)', /not replaced/],
  ['ssh "$HOST"', /not replaced/],
  ['ssh "`id`"', /not replaced/],
  ["ssh '$(id)'", /not a valid host name/],
  ['ssh web\nid', /"‹LF›" is for a shell/],
  ['ssh "we\nb"', /cannot be seen/],
  ['ssh "web', /quote is not closed/],
  ["ssh 'web", /quote is not closed/],
  ['ssh web\\', /for a shell/],
  [`ssh -i 'a"b' web`, /quote in its name/],
  ['ssh -Z web', /no option -Z/],
  ['ssh -o Nonsense=1 web', /"-o Nonsense=1" is no option of ssh/],
  ['ssh -o Host=x web', /is no option/],
  ['ssh -o Match=all web', /is no option/],
  ['ssh -o "Include /x" web', /is no option/],
  ['ssh -o Port web', /is no option/],
  ['ssh -o __proto__=1 web', /is no option/],
  ['ssh -o constructor=1 web', /is no option/],
  ['bücher.example', /not a valid host name/],
  ['we\u202eb', /not a valid host name/],
  ['../x', /not a valid host name/],
  ['x'.repeat(300), /not a valid host name/],
  [`ssh ${'-v '.repeat(2000)} web`, /too long/],
];
for (const [text, reason] of wrong) {
  test(`refused: ${JSON.stringify(text.slice(0, 40))}`, () => {
    assert.throws(() => parseSshCommandLine(text), reason);
  });
}

test('a plain node is one that a name alone leads to', () => {
  assert.equal(isPlain(parseSshCommandLine('ssh -A me@web:22')), true);
  assert.equal(isPlain(parseSshCommandLine('ssh -i k web')), false);
});
