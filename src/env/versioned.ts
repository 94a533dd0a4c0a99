// Documents with a format and a version: an older one is upgraded step by step, a newer one is refused by name.

import { UserError } from '../base/errors.ts';

/** Makes a document of the next version. */
export type Upgrade = (document: Readonly<Record<string, unknown>>) => Record<string, unknown>;

export interface VersionedFormat {
  readonly format: string;
  /** The version that this Faultline writes. */
  readonly version: number;
  /** upgrades[n] takes version n + 1 to n + 2. */
  readonly upgrades: readonly Upgrade[];
  /** In words, with its article: `an environment snapshot`. */
  readonly what: string;
  /** First part of the errors' codes. */
  readonly area: string;
}

/** The document in the current version. Errors: `<area>.notSnapshot`, `<area>.tooNew`. */
export function readVersioned(value: unknown, format: VersionedFormat): unknown {
  if (!isRecord(value) || value.format !== format.format || !isVersion(value.version)) {
    throw new UserError(`${format.area}.notSnapshot`, `This is not ${format.what} of Faultline.`);
  }
  if (value.version > format.version) {
    throw new UserError(
      `${format.area}.tooNew`,
      `This is ${format.what} of version ${value.version} (${format.format}); this Faultline ` +
        `reads up to version ${format.version}.`,
      { hint: 'Update Faultline.' },
    );
  }
  return format.upgrades.slice(value.version - 1).reduce<Readonly<Record<string, unknown>>>(
    (document, upgrade, index) => ({
      ...upgrade(document),
      version: (value.version as number) + index + 1,
    }),
    value,
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isVersion(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1;
}
