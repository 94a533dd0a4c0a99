// What ends our programs on a node when the network is silently gone: sshd would keep them for hours, since no
// end of the connection ever reaches it.

import type { Channel } from './connection.ts';
import type { RemoteCommand } from './shell.ts';

/** So many beats in the time of silence: two may be late. */
const beatsPerSilence = 3;
/** Programs that end sooner than this part of the silence need none: 3 s of 45 s. */
const gracePerSilence = 1 / 15;
/** A lifeline without programs is kept this long for the next one. */
const lingerMs = 10_000;

/**
 * Reads a line now and then. When none comes for too long it ends the sshd process that serves this connection,
 * and with it all channels: our programs see the end of their stdin. When its own stdin ends, so does it.
 */
const script = (silenceSeconds: number): string => `
set -f
arm() {
  setsid /bin/sh -c 'sleep ${silenceSeconds}
    comm=$(cat /proc/$1/comm 2>/dev/null || ps -o comm= -p $1 2>/dev/null)
    case $comm in *sshd*|*dropbear*) kill -s TERM $1;; esac' sh "$PPID" </dev/null >/dev/null 2>&1 &
  timer=$!
}
disarm() {
  # Beats may come in a heap after a pause of the network: a timer that is not a group of its own yet is killed, too.
  kill -s KILL -- -$timer $timer 2>/dev/null
}
arm
while IFS= read -r beat; do
  disarm
  arm
done
disarm
exit 0`;

/** One for each connection; up while there are programs to guard. */
export class Lifeline {
  private readonly open: (command: RemoteCommand) => Promise<Channel | undefined>;
  private readonly silenceMs: number;
  private guarded = 0;
  private channel: Promise<Channel | undefined> | undefined;
  private beat: NodeJS.Timeout | undefined;
  private linger: NodeJS.Timeout | undefined;
  isUp = false;

  /** `open` gives undefined where there is no place for it. */
  constructor(
    open: (command: RemoteCommand) => Promise<Channel | undefined>,
    /** How long the node waits for a beat before it ends our programs. */
    silenceMs: number,
  ) {
    this.open = open;
    this.silenceMs = silenceMs;
  }

  /** Until `ended` resolves; a program that runs does not wait for it. */
  guard(ended: Promise<void>): void {
    let isGuarded = false;
    const begin = setTimeout(() => {
      isGuarded = true;
      this.guarded++;
      clearTimeout(this.linger);
      this.channel ??= this.start();
    }, this.silenceMs * gracePerSilence);
    begin.unref();
    void ended.then(() => {
      clearTimeout(begin);
      if (!isGuarded || --this.guarded > 0) return;
      this.linger = setTimeout(() => this.stop(), lingerMs);
      this.linger.unref();
    });
  }

  dispose(): void {
    clearTimeout(this.linger);
    this.stop();
  }

  private async start(): Promise<Channel | undefined> {
    const channel = await this.open({ script: script(Math.ceil(this.silenceMs / 1000)) });
    if (channel === undefined) {
      // The next program tries again.
      this.channel = undefined;
      return undefined;
    }
    this.isUp = true;
    channel.stdout.resume();
    channel.stderr.resume();
    channel.stdin.on('error', () => {
      // A channel that is gone is heard of below.
    });
    this.beat = setInterval(() => channel.stdin.write('\n'), this.silenceMs / beatsPerSilence);
    this.beat.unref();
    void channel.closed.then(() => {
      this.isUp = false;
      clearInterval(this.beat);
      this.channel = undefined;
    });
    return channel;
  }

  private stop(): void {
    clearInterval(this.beat);
    void this.channel?.then((channel) => channel?.stdin.end());
  }
}
