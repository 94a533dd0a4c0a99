// One context id in the logs of three nodes: our search against `ssh NODE grep` over the same files.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { searchNodes } from '../../src/log/search.ts';
import { sshConnector } from '../../src/remote/connect.ts';
import type { Node } from '../../src/remote/node.ts';
import { NodeRegistry } from '../../src/remote/nodeRegistry.ts';
import { startFleet, type Fleet } from '../fleet/fleet.ts';
import { inProject } from '../tools/project.mjs';
import { measureInTurn, type BenchReport, type Contender } from './measure.ts';

const rounds = 9;
const linesPerNode = 288_000;
const linesPerRequest = 30;
const wanted = 'req-7f3a00000fa0';
const nodeNames = ['gate-1', 'work-1', 'store-1'] as const;
const logFile = 'bench/app.log';

/**
 * Writes a log on a node, once: pino lines, the requests' lines mixed as concurrent requests mix them. Every
 * node has the same requests.
 */
const writeLog = `
import json, os, sys
path, lines, per_request = os.path.expanduser(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if os.path.exists(path):
    print(os.path.getsize(path))
    sys.exit()
os.makedirs(os.path.dirname(path), exist_ok=True)
words = "order price parcel tariff ledger stock reserve release settle quote route audit".split()
with open(path + ".part", "w") as log:
    for n in range(lines):
        request = n // (per_request * 8) * 8 + n % 8
        log.write(json.dumps({
            "level": 50 if n % 997 == 0 else 30,
            "time": 1795328274000 + n * 3,
            "pid": 17, "hostname": os.uname().nodename, "name": words[n % 12],
            "reqId": "req-7f3a%08x" % request,
            "route": "/%s/%s/%d" % (words[n % 12], words[n // 12 % 12], n % 8191),
            "ms": n * 7919 % 100000 / 100,
            "msg": "%s of %s done in step %d" % (words[n // 7 % 12], words[n // 5 % 12], n % per_request),
        }, separators=(",", ":")) + "\\n")
os.rename(path + ".part", path)
print(os.path.getsize(path))
`;

export async function benchLogSearch(onProgress: (text: string) => void): Promise<BenchReport> {
  const fleet = await startFleet({ dir: inProject('.cache/bench-fleet'), load: false, onProgress });
  try {
    return await measure(fleet, onProgress);
  } finally {
    await fleet.stop();
  }
}

async function measure(fleet: Fleet, onProgress: (text: string) => void): Promise<BenchReport> {
  onProgress('Writing the logs of three nodes');
  const ssh = new OpenSsh(fleet);
  const sizes = await Promise.all(
    nodeNames.map((node) =>
      ssh.run(node, `python3 - '~/${logFile}' ${linesPerNode} ${linesPerRequest}`, writeLog),
    ),
  );
  const megabytes = sizes.map((size) => (Number(size) / 1e6).toFixed(0));

  const registry = connectTo(fleet);
  const nodes = registry.nodes;
  const settingsFile = writeSettings(fleet);
  const grep = `LC_ALL=C grep -F -e ${wanted} ${logFile}`;
  const contenders: readonly Contender[] = [
    { name: 'ssh NODE grep, a new connection each', run: () => onAll(ssh, grep) },
    {
      name: 'ssh NODE grep, over a kept connection (ControlMaster)',
      run: () => onAll(ssh.kept, grep),
    },
    { name: 'all bytes over a kept connection, grep here', run: () => grepHere(ssh.kept) },
    { name: 'Faultline’s search, connected (as in VS Code)', run: () => search(registry, nodes) },
    { name: 'the command faultline logs, whole process', run: () => command(fleet, settingsFile) },
  ];
  try {
    onProgress('Comparing the answers');
    const answers = await Promise.all(contenders.map(({ run }) => run()));
    for (const answer of answers) assert.equal(answer, linesPerRequest * nodeNames.length);
    onProgress(`Measuring ${rounds} rounds`);
    const measurements = await measureInTurn(contenders, rounds);
    return {
      title: 'One context id in the logs of three nodes',
      description: [
        `${linesPerRequest} lines of one request in each of three files of ${linesPerNode.toLocaleString('en')} pino lines ` +
          `(${megabytes.join(', ')} MB), in the page cache, on three nodes of the demo fleet (${fleet.mode} on one machine; ` +
          'sshd, grep and the client share its processors). All three nodes are asked at the same time. ' +
          `Every way found the same ${linesPerRequest * nodeNames.length} lines; ours also parses, corrects and merges them. ` +
          `Median of ${rounds} rounds, one run of each way in turn. ${await versions(ssh)}`,
      ],
      measurements,
      peer: contenders[0]!.name,
    };
  } finally {
    registry.dispose();
    await ssh.close();
  }
}

function connectTo(fleet: Fleet): NodeRegistry {
  const registry = new NodeRegistry(
    sshConnector(
      () => ({ configFile: fleet.sshConfigFile }),
      () => ({}),
    ),
  );
  registry.setNodes(
    nodeNames.map((name) => ({
      name,
      host: name,
      labels: [],
      logs: [`~/${logFile}`],
      origin: 'settings',
    })),
  );
  return registry;
}

function writeSettings(fleet: Fleet): string {
  const folder = path.join(fleet.dir, 'bench');
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, 'settings.json');
  const nodes = nodeNames.map((name) => ({ name, logs: [`~/${logFile}`] }));
  writeFileSync(file, JSON.stringify({ 'faultline.nodes': nodes }));
  return file;
}

// --- the ways ----------------------------------------------------------------------------------------------

/** Each answers with the number of entries found. */
async function search(registry: NodeRegistry, nodes: readonly Node[]): Promise<number> {
  const result = await searchNodes(registry, nodes, { contextId: wanted });
  assert.deepEqual(result.missing, []);
  return result.entries.length;
}

async function command(fleet: Fleet, settingsFile: string): Promise<number> {
  const args = ['--settings', settingsFile, '--ssh-config', fleet.sshConfigFile];
  const cli = inProject('dist', 'cli.js');
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [cli, 'logs', '--context', wanted, '--json', ...args],
    { maxBuffer: 64 << 20 },
  );
  return countLines(stdout);
}

async function onAll(ssh: SshRunner, remoteCommand: string): Promise<number> {
  const answers = await Promise.all(nodeNames.map((node) => ssh.run(node, remoteCommand)));
  return answers.reduce((sum, answer) => sum + countLines(answer), 0);
}

async function grepHere(ssh: SshRunner): Promise<number> {
  const counts = await Promise.all(
    nodeNames.map(async (node) => {
      const { stdout } = await promisify(execFile)('sh', [
        '-c',
        `${ssh.shellWords(node).join(' ')} 'cat ${logFile}' | LC_ALL=C grep -F -e ${wanted}`,
      ]);
      return countLines(stdout);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

function countLines(text: string): number {
  return text.split('\n').length - 1;
}

interface SshRunner {
  run(node: string, command: string, input?: string): Promise<string>;
  /** The start of a command line for sh; node names and our paths need no quotes. */
  shellWords(node: string): readonly string[];
}

/** The system's own ssh, as a user would call it. */
class OpenSsh implements SshRunner {
  private readonly words: readonly string[];
  private readonly socket: string;
  readonly kept: SshRunner;

  constructor(fleet: Fleet) {
    this.words = ['ssh', '-F', fleet.sshConfigFile];
    this.socket = path.join(fleet.dir, 'cm-%n');
    const kept = [
      ...this.words,
      ...[
        '-o',
        'ControlMaster=auto',
        '-o',
        `ControlPath=${this.socket}`,
        '-o',
        'ControlPersist=120',
      ],
    ];
    this.kept = {
      run: (node, remoteCommand) => runWords([...kept, node, remoteCommand], ''),
      shellWords: (node) => [...kept, node],
    };
  }

  run(node: string, remoteCommand: string, input = ''): Promise<string> {
    return runWords([...this.words, node, remoteCommand], input);
  }

  shellWords(node: string): readonly string[] {
    return [...this.words, node];
  }

  /** Ends the kept connections. */
  async close(): Promise<void> {
    await Promise.all(
      nodeNames.map((node) =>
        runWords([...this.words, '-o', `ControlPath=${this.socket}`, '-O', 'exit', node], '').catch(
          () => '',
        ),
      ),
    );
  }
}

function runWords([program, ...args]: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let [output, errors] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ended with ${code}: ${errors}`));
    });
    child.stdin.end(input);
  });
}

async function versions(ssh: OpenSsh): Promise<string> {
  const [grep = ''] = (await ssh.run(nodeNames[0], 'grep --version')).split('\n');
  const openSsh = (await promisify(execFile)('ssh', ['-V'])).stderr.split(',')[0];
  return `Node ${process.versions.node}, ${openSsh?.trim()}, ${grep}.`;
}
