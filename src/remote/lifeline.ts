// What ends our programs on a node when the network is silently gone: sshd would keep them for hours, since no
// end of the connection ever reaches it. What a person runs in a terminal is not ours to end: a laptop sleeps.

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
  private held = 0;
  private channel: Promise<Channel | undefined> | undefined;
  private linger: NodeJS.Timeout | undefined;
  /** Channels of its own that are open. */
  channelCount = 0;

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
      this.startIfNeeded();
    }, this.silenceMs * gracePerSilence);
    begin.unref();
    void ended.then(() => {
      clearTimeout(begin);
      if (!isGuarded || --this.guarded > 0) return;
      this.linger = setTimeout(() => this.stop(), lingerMs);
      this.linger.unref();
    });
  }

  /** No lifeline until `ended` resolves: it would end a person's terminal on the same connection, too. */
  hold(ended: Promise<void>): void {
    this.held++;
    this.stop();
    void ended.then(() => {
      this.held--;
      this.startIfNeeded();
    });
  }

  dispose(): void {
    clearTimeout(this.linger);
    this.stop();
  }

  private startIfNeeded(): void {
    if (this.held === 0 && this.guarded > 0) this.channel ??= this.start();
  }

  private start(): Promise<Channel | undefined> {
    const opened: Promise<Channel | undefined> = this.connect(() => this.channel === opened);
    return opened;
  }

  private async connect(isCurrent: () => boolean): Promise<Channel | undefined> {
    const channel = await this.open({ script: script(Math.ceil(this.silenceMs / 1000)) });
    if (channel === undefined) {
      // The next program tries again.
      if (isCurrent()) this.channel = undefined;
      return undefined;
    }
    this.channelCount++;
    channel.stdout.resume();
    channel.stderr.resume();
    channel.stdin.on('error', () => {
      // A channel that is gone is heard of below.
    });
    const beat = setInterval(() => {
      if (!channel.stdin.writableEnded) channel.stdin.write('\n');
    }, this.silenceMs / beatsPerSilence);
    beat.unref();
    void channel.closed.then(() => {
      this.channelCount--;
      clearInterval(beat);
      if (isCurrent()) this.channel = undefined;
    });
    return channel;
  }

  private stop(): void {
    const { channel } = this;
    this.channel = undefined;
    void channel?.then((open) => open?.stdin.end());
  }
}
