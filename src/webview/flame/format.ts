// Numbers and places as people read them.

import type { WeightUnit } from '../../profile/profile.ts';

export function formatShare(share: number): string {
  if (!(share > 0)) return '0%';
  if (share < 0.0005) return '<0.1%';
  return `${(share * 100).toFixed(1)}%`;
}

export function formatWeight(weight: number, unit: WeightUnit): string {
  switch (unit) {
    case 'samples': {
      const count = Math.round(weight * 100) / 100;
      return `${count.toLocaleString('en-US')} ${count === 1 ? 'sample' : 'samples'}`;
    }
    case 'milliseconds':
      return formatDuration(weight);
    case 'bytes':
      return formatBytes(weight);
  }
}

export function formatDuration(ms: number): string {
  if (ms < 1) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 1000) return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
  return ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${(ms / 60_000).toFixed(1)} min`;
}

function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/** The last part of a path. */
export function baseName(file: string): string {
  return file.slice(Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')) + 1);
}

/** The last two folders and the name, which is enough to know a file by. */
export function shortPath(file: string): string {
  const parts = file.split('/');
  return parts.length <= 4 ? file : `…/${parts.slice(-3).join('/')}`;
}
