// Fifty addresses of this machine that answer SSH, for measuring fan-out: 127.0.0.2 … .51, four sshd (one listens
// on sixteen addresses at most), in a mount namespace of their own with a plain login shell, so that nobody's
// start-up files are measured.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from '../fakes/eventually.ts';

const port = 22722;
const perSshd = 13;

export interface ManyNodes {
  readonly dir: string;
  /** `n02` … `n51`, as the ssh configuration names them. */
  readonly names: readonly string[];
  readonly sshConfigFile: string;
  stop(): Promise<void>;
}

export async function startManyNodes(count = 50): Promise<ManyNodes> {
  const dir = mkdtempSync(path.join(tmpdir(), 'faultline-many-'));
  for (const name of ['host', 'client']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(dir, name)]);
  }
  mkdirSync('/run/sshd', { recursive: true });
  mkdirSync(path.join(dir, 'home'));
  const passwd = readFileSync('/etc/passwd', 'utf8');
  writeFileSync(
    path.join(dir, 'passwd'),
    passwd.replace(/^root:.*$/m, `root:x:0:0:root:${dir}/home:/bin/sh`),
  );
  const addresses = Array.from({ length: count }, (_, index) => `127.0.0.${index + 2}`);
  const servers: ChildProcess[] = [];
  for (let first = 0; first < count; first += perSshd) {
    servers.push(startSshd(dir, servers.length, addresses.slice(first, first + perSshd)));
  }
  await Promise.all(addresses.map((address) => eventually(() => answers(address), 20_000)));
  const names = addresses.map((address) => `n${address.split('.')[3]!.padStart(2, '0')}`);
  const hostKey = readFileSync(path.join(dir, 'host.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
  writeFileSync(
    path.join(dir, 'known_hosts'),
    addresses.map((address) => `[${address}]:${port} ${hostKey}\n`).join(''),
  );
  const sshConfigFile = path.join(dir, 'config');
  writeFileSync(
    sshConfigFile,
    `${names.map((name, index) => `Host ${name}\n  HostName ${addresses[index]}\n`).join('')}Host *
  Port ${port}
  User root
  IdentityFile ${dir}/client
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${dir}/known_hosts
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
  LogLevel ERROR
`,
  );
  return {
    dir,
    names,
    sshConfigFile,
    stop: async () => {
      await Promise.all(
        servers.map((server) => {
          const gone = new Promise((resolve) => server.once('exit', resolve));
          server.kill();
          return gone;
        }),
      );
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function startSshd(dir: string, number: number, addresses: readonly string[]): ChildProcess {
  const file = path.join(dir, `sshd-${number}`);
  writeFileSync(
    file,
    `${addresses.map((address) => `ListenAddress ${address}:${port}\n`).join('')}HostKey ${dir}/host
PidFile none
AuthorizedKeysFile ${dir}/client.pub
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
MaxStartups 200
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
`,
  );
  const script = `mount --bind ${dir}/passwd /etc/passwd && exec /usr/sbin/sshd -D -e -f ${file}`;
  return spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: 'ignore' });
}

function answers(address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: address, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}
