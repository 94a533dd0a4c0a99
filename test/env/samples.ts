// Small snapshots for tests: a plain node, and what a test changes of it.

import type { EnvSnapshot, PythonInterpreter, Variables } from '../../src/env/envSnapshot.ts';

export function samplePython(changes: Partial<PythonInterpreter> = {}): PythonInterpreter {
  return {
    executable: '/srv/shop/venv/bin/python',
    realExecutable: '/usr/bin/python3.11',
    version: '3.11.2',
    implementation: 'cpython',
    prefix: '/srv/shop/venv',
    basePrefix: '/usr',
    isVenv: true,
    isInUse: true,
    foundBy: ['venv'],
    packages: { pip: '23.0.1', pricelib: '2.1.0' },
    ...changes,
  };
}

export const systemPython = samplePython({
  executable: '/usr/bin/python3',
  prefix: '/usr',
  isVenv: false,
  isInUse: false,
  foundBy: ['PATH'],
  packages: { pip: '23.0.1', pyyaml: '6.0' },
});

export function sampleSnapshot(changes: Partial<EnvSnapshot> = {}): EnvSnapshot {
  return {
    format: 'faultline.env',
    version: 1,
    node: 'work-1',
    takenAt: '2026-11-22T06:17:54.123Z',
    durationMs: 80,
    partial: false,
    redaction: { keyId: 'aaaaaaaa' },
    clock: {
      source: 'date',
      nodeTime: '2026-11-22T06:17:54.000Z',
      offsetMs: 0.04,
      errorMs: 0.2,
    },
    os: {
      source: 'uname, os-release',
      prettyName: 'Debian GNU/Linux 12 (bookworm)',
      id: 'debian',
      versionId: '12',
      kernelName: 'Linux',
      kernel: '6.1.0-28-amd64',
      machine: 'x86_64',
      hostname: 'work-1',
    },
    user: {
      source: 'id, passwd',
      name: 'app',
      uid: 1500,
      gid: 1500,
      groups: ['app', 'adm'],
      home: '/home/app',
      shell: '/bin/bash',
    },
    command: {
      source: 'umask, pwd',
      cwd: { logical: '/home/app', physical: '/home/app' },
      umask: '0022',
    },
    limits: { source: '/proc/self/limits', limits: { nofile: [1024, 1048576], core: [0, -1] } },
    locale: { source: 'locale', variables: { LANG: 'C.UTF-8' }, charmap: 'UTF-8' },
    timezone: { source: 'date', tz: null, zone: 'Etc/UTC', abbreviation: 'UTC', offsetMinutes: 0 },
    cpu: { source: '/proc/cpuinfo', model: 'AMD EPYC', count: 2, usable: 2 },
    memory: {
      source: '/proc/meminfo',
      totalBytes: 8 * 2 ** 30,
      availableBytes: 4 * 2 ** 30,
      swapBytes: 0,
    },
    disks: {
      source: 'df',
      disks: [
        {
          mount: '/',
          device: '/dev/vda',
          fileSystem: 'ext4',
          isShared: false,
          sizeBytes: 100 * 2 ** 30,
          usedBytes: 10 * 2 ** 30,
          availableBytes: 85 * 2 ** 30,
          inodes: { total: 1000, used: 10 },
        },
      ],
      notes: [],
    },
    env: {
      loginShell: {
        source: '/bin/bash as a login shell',
        shell: '/bin/bash',
        variables: sampleVariables,
      },
      plainCommand: { source: 'ssh', variables: sampleVariables },
    },
    pythons: { source: 'dist-info', interpreters: [samplePython(), systemPython], notes: [] },
    nodejs: {
      source: 'node --version',
      runtimes: [{ executable: '/usr/bin/node', version: '20.20.2' }],
    },
    systemPackages: {
      source: 'dpkg',
      manager: 'dpkg',
      packages: { bash: '5.2.15-2+b7', libc6: '2.36-9+deb12u9', libssl3: '3.0.15-1~deb12u1' },
    },
    ...changes,
  };
}

export const sampleVariables: Variables = {
  HOME: '/home/app',
  LANG: 'C.UTF-8',
  PATH: '/usr/local/bin:/usr/bin:/bin',
  TARIFF_REGION: 'eu-central',
};

/** The same variables in a login shell and in a plain command. */
export function withVariables(variables: Variables): Pick<EnvSnapshot, 'env'> {
  return {
    env: {
      loginShell: { source: 'login', shell: '/bin/bash', variables },
      plainCommand: { source: 'ssh', variables },
    },
  };
}
