import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { LocalShell } from '../../src/remote/localShell.ts';
import { parseClockFacts, readClockFacts, type SyncState } from '../../src/remote/syncDaemon.ts';

/** The script's output with these sections; the others are empty. */
function outputOf(sections: Readonly<Record<string, string>>): string {
  return [...Object.entries(sections), ['end', '']]
    .map(([name, text]) => `\u001e${name}\n${text}`)
    .join('');
}

function syncOf(sections: Readonly<Record<string, string>>): SyncState {
  return parseClockFacts(outputOf(sections)).sync;
}

// chronyd 4.3 that follows another chronyd.
const chronyTracking = `Reference ID    : 7F000001 (127.0.0.1)
Stratum         : 3
Ref time (UTC)  : Sun Nov 22 09:59:59 2026
System time     : 0.000001818 seconds fast of NTP time
Last offset     : +0.000000043 seconds
RMS offset      : 0.000000192 seconds
Frequency       : 0.031 ppm slow
Residual freq   : +0.002 ppm
Skew            : 0.050 ppm
Root delay      : 0.000007286 seconds
Root dispersion : 0.000000385 seconds
Update interval : 0.5 seconds
Leap status     : Normal
`;

// chronyd 4.3 whose only server does not answer.
const chronyUnsynchronised = `Reference ID    : 00000000 ()
Stratum         : 0
Ref time (UTC)  : Thu Jan 01 00:00:00 1970
System time     : 0.000000000 seconds fast of NTP time
Last offset     : +0.000000000 seconds
RMS offset      : 0.000000000 seconds
Frequency       : 0.000 ppm slow
Residual freq   : +0.000 ppm
Skew            : 0.000 ppm
Root delay      : 1.000000000 seconds
Root dispersion : 1.000000000 seconds
Update interval : 0.0 seconds
Leap status     : Not synchronised
`;

test('chrony says to whom, and how far it is off, in our sign', () => {
  const sync = syncOf({ processes: 'chronyd\n', chrony: chronyTracking, kernel: '0\n' });
  assert.deepEqual(sync, {
    kind: 'chrony',
    synchronised: true,
    offsetMs: 0.001818,
    detail: 'Synchronised to 127.0.0.1, stratum 3.',
  });
  const slow = chronyTracking.replace('0.000001818 seconds fast', '1.250000000 seconds slow');
  const behind = syncOf({ chrony: slow });
  assert.equal(behind.offsetMs, -1250);
});

test('chrony without a source, and chrony that lets nobody ask', () => {
  assert.deepEqual(
    syncOf({ processes: 'chronyd\n', chrony: chronyUnsynchronised, kernel: '5\n' }),
    {
      kind: 'chrony',
      synchronised: false,
      offsetMs: undefined,
      detail: 'It has no time source it trusts.',
    },
  );
  assert.deepEqual(
    syncOf({ processes: 'chronyd\n', chrony: '506 Cannot talk to daemon\n', kernel: '0\n' }),
    {
      kind: 'chrony',
      synchronised: true,
      offsetMs: undefined,
      detail: 'It runs but did not answer (506 Cannot talk to daemon).',
    },
  );
  const withoutClient = syncOf({ processes: 'chronyd\n' });
  assert.match(withoutClient.detail, /chronyc is not there/);
});

// chronyc is installed, chronyd does not run.
test('a client without its daemon is no daemon', () => {
  assert.deepEqual(
    syncOf({ processes: '', chrony: '506 Cannot talk to daemon\n', kernel: '5\n' }),
    {
      kind: 'none',
      synchronised: false,
      offsetMs: undefined,
      detail: 'None of the usual ones runs; the kernel says that the clock is not synchronised.',
    },
  );
});

// NTPsec 1.2.2 that has no time yet, and its ntpq without it.
const ntpsecUnsynchronised = `associd=0 status=c016 leap_alarm, sync_unspec, 1 event, restart,
leap=11, stratum=16, precision=-24, rootdelay=0.0, rootdisp=0.42, refid=INIT,
reftime=00000000.00000000 2036-02-07T06:28:16.000Z, tc=0, peer=0, offset=0.0,
frequency=0.0, sys_jitter=0.0, clk_jitter=6e-05,
clock=eead3c52.f039e6e7 2026-11-22T10:02:58.938Z, processor="x86_64",
system="Linux/6.18.44-fc-v595", version="ntpd ntpsec-1.2.2", clk_wander=0.0,
mintc=0
`;
const ntpsecSilent = '***Socket error; probably ntpd is not running\n\n';

// ntpd 4.2.8, from its documentation (https://doc.ntp.org/documentation/4.2.8-series/ntpq/).
const ntpqSystem = `associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,
version="ntpd 4.2.8p15@1.3728-o Wed Sep 23 11:46:38 UTC 2020 (1)",
processor="x86_64", system="Linux/5.10.0", leap=00, stratum=3,
precision=-24, rootdelay=11.245, rootdisp=21.834, refid=192.0.2.7,
reftime=ec5bd1c5.4b2d4a2e  Sun, Nov 22 2026  9:51:17.293,
clock=ec5bd2f3.1a8b2f1c  Sun, Nov 22 2026  9:56:19.103, peer=26481, tc=10,
mintc=3, offset=-0.734210, frequency=12.345, sys_jitter=0.322,
clk_jitter=0.181, clk_wander=0.023
`;

test('ntpd says what has to be added to the clock; we say how far it is ahead', () => {
  assert.deepEqual(syncOf({ processes: 'ntpd\n', ntpd: ntpqSystem }), {
    kind: 'ntpd',
    synchronised: true,
    offsetMs: 0.73421,
    detail: 'Synchronised to 192.0.2.7, stratum 3.',
  });
  const alarm = ntpqSystem.replace('leap_none, sync_ntp', 'leap_alarm, sync_unspec');
  const sync = syncOf({ processes: 'ntpd\n', ntpd: alarm });
  assert.equal(sync.synchronised, false);
  assert.equal(syncOf({ ntpd: ntpsecUnsynchronised }).synchronised, false);
  assert.equal(syncOf({ ntpd: ntpsecSilent }).kind, 'none');
  const refused = syncOf({ processes: 'ntpd\n', ntpd: 'ntpq: read: Connection refused\n' });
  assert.equal(refused.kind, 'ntpd');
  assert.match(refused.detail, /Connection refused/);
});

test('OpenNTPD says whether it is content', () => {
  const status = '4/4 peers valid, constraint offset -1s, clock synced, stratum 3\n';
  const sync = syncOf({ processes: 'ntpd\nntpd\n', openntpd: status });
  assert.deepEqual(sync, {
    kind: 'openntpd',
    synchronised: true,
    offsetMs: undefined,
    detail: 'Synchronised, stratum 3.',
  });
  const not = syncOf({ openntpd: '0/4 peers valid, clock unsynced\n' });
  assert.equal(not.synchronised, false);
});

// systemd 252, from timedatectl(1).
const timesyncStatus = `       Server: 216.239.38.15 (time4.google.com)
Poll interval: 1min 4s (min: 32s; max 34min 8s)
         Leap: normal
      Version: 4
      Stratum: 1
    Reference: GPS
    Precision: 1us (-20)
Root distance: 335us (max: 5s)
       Offset: +316us
        Delay: 349us
       Jitter: 0
 Packet count: 1
    Frequency: -8.802ppm
`;

test('timesyncd says what has to be added to the clock', () => {
  assert.deepEqual(syncOf({ processes: 'systemd-timesyn\n', timesyncd: timesyncStatus }), {
    kind: 'timesyncd',
    synchronised: true,
    offsetMs: -0.316,
    detail: 'Synchronised to 216.239.38.15, stratum 1.',
  });
  for (const [span, offsetMs] of [
    ['-1.205ms', 1.205],
    ['+1min 2.5s', -62_500],
    ['0', undefined],
    ['nonsense', undefined],
  ] as const) {
    const sync = syncOf({ timesyncd: timesyncStatus.replace('+316us', span) });
    assert.equal(sync.offsetMs, offsetMs);
  }
});

test('timesyncd that waits for an answer, and an old one that only leaves a mark', () => {
  const waiting = timesyncStatus.replace(/ {7}Offset.*\n[^]*$/, ' Packet count: 0\n');
  const sync = syncOf({ processes: 'systemd-timesyn\n', timesyncd: waiting });
  assert.equal(sync.synchronised, false);
  const old = 'Unknown operation timesync-status\nFaultline: synchronized\n';
  const marked = syncOf({ processes: 'systemd-timesyn\n', timesyncd: old });
  assert.equal(marked.synchronised, true);
});

test('a container has its clock from its host', () => {
  assert.deepEqual(syncOf({ container: 'yes\n', kernel: '0\n' }), {
    kind: 'none',
    synchronised: true,
    offsetMs: undefined,
    detail:
      'This is a container, whose host keeps the clock; the kernel says that the clock is synchronised.',
  });
});

test('what could not be checked is said, not guessed', () => {
  assert.deepEqual(syncOf({ processes: 'hidden\n', kernel: '0\n' }), {
    kind: 'unknown',
    synchronised: true,
    offsetMs: undefined,
    detail:
      'The node does not show its processes to this login; the kernel says that the clock is synchronised.',
  });
  assert.equal(syncOf({ processes: 'hidden\n' }).synchronised, undefined);
  assert.equal(parseClockFacts('').sync.kind, 'unknown');
  assert.equal(parseClockFacts('\u001ezone\n+0100 CET\n').sync.kind, 'unknown');
});

test("the node's zone has an offset, a name where there is one, and an abbreviation", () => {
  const zoneOf = (zone: string, zoneName: string): unknown =>
    parseClockFacts(outputOf({ zone, zoneName })).zone;
  assert.deepEqual(zoneOf('+0100 CET\n', '/usr/share/zoneinfo/Europe/Berlin\n'), {
    offsetMinutes: 60,
    name: 'Europe/Berlin',
    abbreviation: 'CET',
  });
  assert.deepEqual(zoneOf('-0330 NST\n', ':America/St_Johns'), {
    offsetMinutes: -210,
    name: 'America/St_Johns',
    abbreviation: 'NST',
  });
  assert.deepEqual(zoneOf('+0545 +0545\n', '../usr/share/zoneinfo/Asia/Kathmandu'), {
    offsetMinutes: 345,
    name: 'Asia/Kathmandu',
    abbreviation: undefined,
  });
  assert.deepEqual(zoneOf('+0000 UTC\n', 'CET-1CEST,M3.5.0,M10.5.0/3'), {
    offsetMinutes: 0,
    name: undefined,
    abbreviation: 'UTC',
  });
  for (const bad of ['', '+1 X\n', 'NaN\n', '+0100\n']) assert.equal(zoneOf(bad, ''), undefined);
});

test('hostile answers never break it, nor hide anything in what is shown', () => {
  const names = ['chrony', 'ntpd', 'timesyncd', 'openntpd', 'processes', 'kernel', 'zone'];
  const anyText = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(chronyTracking, ntpqSystem, timesyncStatus, 'ntpd\nchronyd\n'),
    fc.string({ unit: 'binary' }).map((text) => chronyTracking.replace('127.0.0.1', text)),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), anyText), (sections) => {
      const { sync } = parseClockFacts(outputOf(sections));
      assert.doesNotMatch(sync.detail, /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u202e]/);
      assert.ok(sync.detail.length < 400);
    }),
    { numRuns: 200 },
  );
});

test('the script answers on this machine, to the end', async () => {
  const shell = new LocalShell({ env: { ...process.env, TZ: 'America/St_Johns' } });
  const { sync, zone } = await readClockFacts(shell);
  assert.doesNotMatch(sync.detail, /to the end/);
  assert.equal(zone?.name, 'America/St_Johns');
  assert.ok([-210, -150].includes(zone.offsetMinutes));
  shell.dispose();
});
