// Node → Shell: resolves the host, chooses the transport, asks about unknown host keys with no connection open,
// and checks that a POSIX shell answers.

import { describeError, UserError } from '../base/errors.ts';
import { shellStartTimeoutMs } from './channel.ts';
import { noHeaderExitCode } from './command.ts';
import {
  chooseForWay,
  hasSharableSsh,
  systemSshMayHelp,
  type TransportChoice,
} from './chooseTransport.ts';
import type { CommandLog } from './commandLog.ts';
import type { ConnectOptions, Connection, Transport } from './connection.ts';
import { ConnectionReport } from './connectionReport.ts';
import { UnknownHostKey } from './hostKeyTrust.ts';
import { jumpHostsOf } from './jumpHosts.ts';
import { LoginGate } from './loginGate.ts';
import { acceptanceOf, type LoginPrompts } from './loginPrompts.ts';
import type { Node } from './node.ts';
import { PooledShell, type PoolLimits } from './pooledShell.ts';
import type { ExecResult } from './shell.ts';
import { resolveHost, type SshConfigOptions } from './sshConfig.ts';
import { connectionLost, lastLine } from './sshFailures.ts';
import type { TransportSetting } from './transportSetting.ts';

export interface ConnectAttempt {
  /** Nobody is asked anything: what needs an answer is refused. */
  readonly isBackground: boolean;
  readonly report: ConnectionReport;
}

/** As nodeLink.ts wants it. Without an `attempt` somebody is there to be asked. */
export type ConnectNode = (
  node: Node,
  signal: AbortSignal,
  attempt?: ConnectAttempt,
) => Promise<PooledShell>;

export interface ConnectSettings extends SshConfigOptions {
  /** Default: `auto`. */
  readonly transport?: TransportSetting;
}

export interface ConnectorOptions {
  readonly commands?: CommandLog;
  readonly limits?: Partial<PoolLimits>;
  readonly gate?: LoginGate;
}

const nobody: LoginPrompts = {};
/** A login shell that takes longer makes every command slow, and its owner may not know. */
const slowShellMs = 1_500;

/** The configuration and prompts are asked for at each connection, since settings change. */
export function sshConnector(
  config: () => ConnectSettings,
  prompts: () => LoginPrompts,
  { commands, limits, gate = new LoginGate() }: ConnectorOptions = {},
): ConnectNode {
  const transports = new Transports();

  const connect = async (
    node: Node,
    answers: LoginPrompts,
    report: ConnectionReport,
    signal: AbortSignal,
  ): Promise<Connection> => {
    const options = config();
    // Each name is asked about once: the way is looked at before it is gone.
    const asked = new Map<string, ReturnType<typeof resolveHost>>();
    const resolve = (alias: string): ReturnType<typeof resolveHost> => {
      const answer = asked.get(alias) ?? resolveHost(alias, options);
      asked.set(alias, answer);
      return answer;
    };
    const target = await report.step(
      'Read the ssh configuration',
      () => resolve(node.host),
      ({ user, host, port }) => `${user}@${host}:${port}`,
    );
    const { transport: setting = 'auto' } = options;
    const way = [...(await jumpHostsOf(target, resolve, node.name)), target];
    let choice = await chooseForWay(way, setting, options);
    if (choice.reason !== undefined)
      report.note(`Connect by ${names[choice.transport]}`, choice.reason);
    // ssh does what its configuration says.
    const unsupported = choice.transport === 'ssh2' ? target.unsupported : [];
    for (const setting of unsupported) report.note('Not supported', setting);
    const accepted = new Set<string>();
    const attempt: ConnectOptions = {
      node: node.name,
      target,
      resolve,
      prompts: answers,
      acceptedHostKeys: accepted,
      gate,
      report,
    };
    for (;;) {
      try {
        return await (
          await transports.get(choice.transport, options)
        )(attempt, signal);
      } catch (error) {
        const reason = setting === 'auto' ? systemSshMayHelp(error) : undefined;
        if (
          reason !== undefined &&
          choice.transport === 'ssh2' &&
          (await hasSharableSsh(options))
        ) {
          choice = { transport: 'system', reason };
          report.note(`Connect by ${names.system}`, reason);
          continue;
        }
        if (!(error instanceof UnknownHostKey) || answers.hostKey === undefined) throw error;
        const { question } = error;
        // Each key is asked about once in a connecting; one that is still unknown then cannot be helped.
        if (accepted.has(acceptanceOf(question))) throw error;
        const end = report.begin(`Ask about the host key of ${question.name}`);
        if (!(await answers.hostKey(question))) {
          end('failed', 'declined');
          throw error;
        }
        end('ok', 'accepted');
        signal.throwIfAborted();
        accepted.add(acceptanceOf(question));
      }
    }
  };

  return async (node, signal, attempt) => {
    const report = attempt?.report ?? new ConnectionReport();
    const answers = attempt?.isBackground === true ? nobody : prompts();
    const connection = await connect(node, answers, report, signal);
    const shell = new PooledShell({
      node: node.name,
      connection,
      connectAnother: (stop) => connect(node, nobody, new ConnectionReport(), stop),
      commands,
      ...(limits === undefined ? {} : { limits }),
    });
    try {
      await checkShell(node, shell, report, signal);
      // Lost right behind its answer: nobody would hear of that any more.
      if (!shell.isOpen) throw connectionLost(node.name);
      return shell;
    } catch (error) {
      shell.dispose();
      throw error;
    }
  };
}

const names = { ssh2: 'Faultline’s own SSH', system: 'the ssh program' } as const;

/** Each is loaded when it is first needed, and kept: it holds unlocked keys and shared jump connections. */
class Transports {
  private ssh2: Promise<Transport> | undefined;
  private readonly system = new Map<string, Promise<Transport>>();

  get(kind: TransportChoice['transport'], config: SshConfigOptions): Promise<Transport> {
    if (kind === 'ssh2') {
      this.ssh2 ??= import('./ssh2Connection.ts').then((module) => module.createSsh2Transport());
      return this.ssh2;
    }
    const { sshPath, configFile } = config;
    const key = JSON.stringify([sshPath, configFile]);
    const known = this.system.get(key);
    if (known !== undefined) return known;
    const made = import('./opensshConnection.ts').then((module) =>
      module.opensshTransport({ sshPath, configFile }),
    );
    this.system.set(key, made);
    return made;
  }
}

/** A login can succeed and still run nothing: an expired account, nologin, a forced command, only SFTP. */
async function checkShell(
  node: Node,
  shell: PooledShell,
  report: ConnectionReport,
  signal: AbortSignal,
): Promise<void> {
  const end = report.begin('Start a shell');
  const startedAt = performance.now();
  try {
    const command = { script: 'echo ready', title: 'Check that a POSIX shell answers' };
    const answer = await shell.exec(command, { timeoutMs: shellStartTimeoutMs }, signal);
    if (answer.stdout.toString() !== 'ready\n') throw noShell(node, answer);
    const tookMs = performance.now() - startedAt;
    end('ok', describeShell(answer, tookMs));
  } catch (caught) {
    const error =
      caught instanceof UserError && caught.code === 'node.timeout'
        ? shellTooSlow(node, caught)
        : caught;
    end('failed', describeError(error));
    throw error;
  }
}

function describeShell(answer: ExecResult, tookMs: number): string | undefined {
  const remarks = [
    ...(tookMs > slowShellMs
      ? [`slow: the start-up files of the login shell took ${(tookMs / 1000).toFixed(1)} s`]
      : []),
    ...(answer.noise === undefined || answer.noise === ''
      ? []
      : ['its start-up files print text, which is left out']),
  ];
  return remarks.length === 0 ? undefined : remarks.join('; ');
}

function noShell(node: Node, { noise = '', stderr, exitCode }: ExecResult): UserError {
  if (exitCode === noHeaderExitCode) {
    return new UserError(
      'node.shellReadsInput',
      `${node.name} lets you log in, but the start-up files of the login shell read what is sent to commands.`,
      {
        hint: 'Look there for a command that reads its input (read, cat, ssh), and give it </dev/null.',
      },
    );
  }
  // The login program of a closed account writes to stdout, sh to stderr.
  const words = lastLine(noise + stderr);
  const reasons: readonly (readonly [RegExp, string, string])[] = [
    [
      /password change required|password has expired/i,
      'node.passwordExpired',
      `Change the password in a terminal: ssh ${node.host}`,
    ],
    [
      /not available|expired|nologin|disabled|locked/i,
      'node.accountClosed',
      'The account is closed or has no login shell: ask whoever runs the node.',
    ],
    [
      /(?:)/,
      'node.noShell',
      'It may be for file transfer only, have a forced command, or a start-up file that starts another shell (exec).',
    ],
  ];
  const [, code, hint] = reasons.find(([pattern]) => pattern.test(words))!;
  const said = words === '' ? '' : ` (it says: ${words})`;
  return new UserError(code, `${node.name} lets you log in, but runs no commands${said}.`, {
    hint,
  });
}

function shellTooSlow(node: Node, cause: Error): UserError {
  return new UserError(
    'node.shellTooSlow',
    `${node.name} lets you log in, but its shell did not start within ${shellStartTimeoutMs / 1000} s.`,
    {
      hint: 'Look at the start-up files of the login shell there (.bashrc), or at its load.',
      cause,
    },
  );
}
