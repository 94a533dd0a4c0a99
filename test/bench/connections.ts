// Connecting, running a command, and a script on fifty nodes: against OpenSSH and the tools that fan it out.

import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { mapBounded } from '../../src/base/async.ts';
import { sshConnector } from '../../src/remote/connect.ts';
import type { Node } from '../../src/remote/node.ts';
import { NodeRegistry } from '../../src/remote/nodeRegistry.ts';
import { inProject } from '../tools/project.mjs';
import { startManyNodes, type ManyNodes } from './manyNodes.ts';
import { measureInTurn, type BenchReport, type Contender, type Costed } from './measure.ts';

const run = promisify(execFile);
const curve = ['-o', 'KexAlgorithms=curve25519-sha256'];

export function benchColdConnect(onProgress: (text: string) => void): Promise<BenchReport> {
  return withNodes(1, onProgress, async (nodes) => {
    const [name = ''] = nodes.names;
    const ssh = (...options: string[]): Promise<unknown> =>
      run('ssh', ['-F', nodes.sshConfigFile, ...options, name, 'true']);
    const contenders: Contender[] = [
      { name: 'ssh NODE true', run: () => ssh() },
      { name: 'ssh NODE true, curve25519', run: () => ssh(...curve) },
      {
        name: 'Faultline: connect, check the shell, run true',
        run: () => connectOnce(nodes, name),
      },
    ];
    const rounds = 15;
    return {
      title: 'A new connection and one command',
      description: [
        `One node on loopback, \`true\` as the command; ssh is a whole process, Faultline runs in a process that is there ` +
          `already (as the extension host is). Median of ${rounds} rounds, one run of each in turn. ${versions()}`,
      ],
      measurements: await measureInTurn(contenders, rounds),
      peer: contenders[0]!.name,
    };
  });
}

export function benchWarmExec(onProgress: (text: string) => void): Promise<BenchReport> {
  return withNodes(1, onProgress, async (nodes) => {
    const [name = ''] = nodes.names;
    const control = path.join(nodes.dir, 'ctl');
    const master = spawn(
      'ssh',
      ['-F', nodes.sshConfigFile, '-M', '-N', '-S', control, '-o', 'ControlPersist=no', name],
      { stdio: 'ignore' },
    );
    const registry = registryOf(nodes);
    const node = registry.nodes.find((candidate) => candidate.name === name)!;
    const shell = await registry.shell(node);
    const ours = async (count: number): Promise<unknown> =>
      Promise.all(Array.from({ length: count }, () => shell.exec({ script: 'true' })));
    const theirs = (count: number): Promise<unknown> =>
      Promise.all(
        Array.from({ length: count }, () =>
          run('ssh', ['-F', nodes.sshConfigFile, '-S', control, name, 'true']),
        ),
      );
    try {
      await waitForMaster(nodes, control, name);
      const contenders: Contender[] = [
        { name: 'ssh over a kept connection (ControlMaster)', run: () => theirs(1) },
        { name: 'Faultline, connected', run: () => ours(1) },
        { name: 'eight at once: ssh over a kept connection', run: () => theirs(8) },
        { name: 'eight at once: Faultline, connected', run: () => ours(8) },
      ];
      const rounds = 40;
      return {
        title: 'One command on a connection that is there',
        description: [
          `\`true\` on one node on loopback. Median of ${rounds} rounds, one run of each in turn. ${versions()}`,
        ],
        measurements: await measureInTurn(contenders, rounds),
        peer: contenders[0]!.name,
      };
    } finally {
      registry.dispose();
      master.kill();
    }
  });
}

const fanOutNodes = 50;

export function benchFanOut(onProgress: (text: string) => void): Promise<BenchReport> {
  return withNodes(fanOutNodes, onProgress, async (nodes) => {
    const script = path.join(nodes.dir, 'facts.sh');
    writeFileSync(script, factsScript);
    const hosts = path.join(nodes.dir, 'hosts');
    writeFileSync(hosts, `${nodes.names.join('\n')}\n`);
    const warm = registryOf(nodes);
    await mapBounded(warm.nodes, fanOutNodes, (node) => warm.shell(node));
    const peers = peersOf(nodes, script, hosts);
    const missing = peers.filter(({ program }) => !isInstalled(program));
    const contenders: Contender[] = [
      ...peers
        .filter((peer) => !missing.includes(peer))
        .map(({ name, command, rounds }) => ({
          name,
          run: () => timed(command, nodes.dir),
          ...(rounds === undefined ? {} : { rounds }),
        })),
      { name: 'Faultline, whole process, new connections', run: () => fanOutProcess(nodes) },
      { name: 'Faultline, new connections (as in VS Code)', run: () => fanOutOnce(nodes) },
      { name: 'Faultline, connected (as in VS Code)', run: () => fanOut(warm) },
    ];
    await bundleFanOut();
    onProgress('Comparing the answers');
    for (const { name, run: once } of contenders) {
      const { answers } = (await once()) as Answered;
      assert.equal(answers, fanOutNodes, `${name} gave ${answers} answers`);
    }
    const rounds = 5;
    onProgress(`Measuring ${rounds} rounds`);
    try {
      return {
        title: 'A script that reads facts, on fifty nodes',
        description: [
          `${fanOutNodes} addresses of one machine (four sshd; they, the script and the client share its processors). ` +
            `MaxStartups is raised: with the stock value pssh lost nodes. The script (${Buffer.byteLength(factsScript)} bytes) prints the system, environment, limits, disks, mounts and the ` +
            'installed Debian packages. Whole processes, but for the rows "as in VS Code". Faultline opens eight connections at ' +
            `once, the others all fifty. Every way brought fifty answers. Median of ${rounds} rounds, one run of each in turn ` +
            `(ansible: 1). ${versions()}` +
            (missing.length === 0
              ? ''
              : ` Not installed here: ${missing.map(({ program }) => program).join(', ')}.`),
        ],
        measurements: await measureInTurn(contenders, rounds),
        peer: 'pssh, curve25519',
      };
    } finally {
      warm.dispose();
    }
  });
}

interface Answered extends Costed {
  readonly answers: number;
}

interface Peer {
  readonly name: string;
  readonly program: string;
  /** For sh; prints END-OF-FACTS for each node that answered. */
  readonly command: string;
  readonly rounds?: number;
}

function peersOf(nodes: ManyNodes, script: string, hosts: string): readonly Peer[] {
  const ssh = `-F ${nodes.sshConfigFile}`;
  const fast = `${ssh} ${curve.join(' ')}`;
  const count = nodes.names.length;
  const pssh = (options: string): string =>
    `parallel-ssh -h ${hosts} -p ${count} -t 120 -i -I -x '${options}' sh -s < ${script}`;
  const clush = (options: string): string =>
    `clush -w ${nodes.names.join(',')} -f ${count} -o '${options}' sh -s < ${script}`;
  return [
    { name: 'pssh, curve25519', program: 'parallel-ssh', command: pssh(fast) },
    { name: 'pssh', program: 'parallel-ssh', command: pssh(ssh) },
    { name: 'clush, curve25519', program: 'clush', command: clush(fast) },
    {
      name: 'xargs -P50 ssh, curve25519',
      program: 'xargs',
      command: `xargs -a ${hosts} -P ${count} -I @ sh -c 'ssh ${fast} @ sh -s < ${script}'`,
    },
    {
      name: 'ansible -m script',
      program: 'ansible',
      rounds: 1,
      command:
        `ANSIBLE_HOST_KEY_CHECKING=False ansible all -i ${hosts} -f ${count} ` +
        `--ssh-common-args '${fast}' -m script -a ${script} ` +
        // Its JSON has each answer twice.
        `| sed -n 's/.*"stdout_lines".*/END-OF-FACTS/p'`,
    },
  ];
}

/** What a quick look at a node reads: much as our own snapshot, in plain sh, so that all can run the same. */
const factsScript = `uname -a
cat /etc/os-release /proc/meminfo /proc/loadavg 2>/dev/null
env
ulimit -a
df -P
cat /proc/mounts
awk '/^Package: /{p=$2} /^Version: /{print p, $2}' /var/lib/dpkg/status
echo END-OF-FACTS
`;

/** The answers, and the processor time of the command with all its children. */
async function timed(command: string, cwd: string): Promise<Answered> {
  const { stdout, stderr } = await run('sh', ['-c', `${command}; times >&2`], {
    cwd,
    maxBuffer: 256 << 20,
  });
  // sh's times: own user and system, then the children's.
  const [user = 0, system = 0] = stderr
    .trim()
    .split('\n')
    .at(-1)!
    .split(/\s+/)
    .map((time) => {
      const [, minutes = '0', seconds = '0'] = /(\d+)m([\d.]+)s/.exec(time) ?? [];
      return Number(minutes) * 60_000 + Number(seconds) * 1000;
    });
  return { answers: stdout.split('END-OF-FACTS').length - 1, cpuMs: user + system };
}

async function fanOut(registry: NodeRegistry): Promise<Answered> {
  const before = process.cpuUsage();
  const results = await mapBounded(registry.nodes, fanOutNodes, async (node) => {
    const shell = await registry.shell(node);
    return shell.exec({ script: factsScript });
  });
  const { user, system } = process.cpuUsage(before);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  const answers = results.filter(
    (result) =>
      result.status === 'fulfilled' && result.value.stdout.toString().endsWith('END-OF-FACTS\n'),
  ).length;
  return { answers, cpuMs: (user + system) / 1000 };
}

async function fanOutOnce(nodes: ManyNodes): Promise<Answered> {
  const registry = registryOf(nodes);
  try {
    return await fanOut(registry);
  } finally {
    registry.dispose();
  }
}

/** The same in a process of its own, from its start to its end; bundled, as what is shipped is. */
async function fanOutProcess(nodes: ManyNodes): Promise<Answered> {
  return timed(`${process.execPath} ${bundle} ${nodes.dir}`, nodes.dir);
}

const bundle = inProject('.cache/bench/fanOut.mjs');

async function bundleFanOut(): Promise<void> {
  await build({
    entryPoints: [import.meta.filename],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
  });
}

async function connectOnce(nodes: ManyNodes, name: string): Promise<void> {
  const registry = registryOf(nodes);
  const node = registry.nodes.find((candidate) => candidate.name === name)!;
  const { exitCode } = await (await registry.shell(node)).exec({ script: 'true' });
  assert.equal(exitCode, 0);
  registry.dispose();
}

function registryOf({
  names,
  sshConfigFile,
}: Pick<ManyNodes, 'names' | 'sshConfigFile'>): NodeRegistry {
  const registry = new NodeRegistry(
    sshConnector(
      () => ({ configFile: sshConfigFile }),
      () => ({}),
    ),
  );
  registry.setNodes(
    names.map((name): Node => ({ name, host: name, labels: [], logs: [], origin: 'settings' })),
  );
  return registry;
}

async function waitForMaster(nodes: ManyNodes, control: string, name: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const check = ['-F', nodes.sshConfigFile, '-S', control, '-O', 'check', name];
    const isUp = await run('ssh', check).then(
      () => true,
      () => false,
    );
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('The ControlMaster did not come up.');
}

async function withNodes<T>(
  count: number,
  onProgress: (text: string) => void,
  work: (nodes: ManyNodes) => Promise<T>,
): Promise<T> {
  onProgress(`Starting sshd on ${count} ${count === 1 ? 'address' : 'addresses'}`);
  const nodes = await startManyNodes(count);
  try {
    return await work(nodes);
  } finally {
    await nodes.stop();
  }
}

function isInstalled(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
}

function versions(): string {
  const ssh = execFileSync('sh', ['-c', 'ssh -V 2>&1']).toString().trim().split(',')[0]!;
  return `Node ${process.versions.node}, ${ssh}.`;
}

// As a process of its own: `node connections.ts DIR` prints a line for each node that answered.
const [, file, dir] = process.argv;
if (file === import.meta.filename && dir !== undefined) {
  const names = readFileSync(path.join(dir, 'hosts'), 'utf8').trim().split('\n');
  const registry = registryOf({ names, sshConfigFile: path.join(dir, 'config') });
  const { answers } = await fanOut(registry);
  process.stdout.write('END-OF-FACTS\n'.repeat(answers));
  registry.dispose();
}
