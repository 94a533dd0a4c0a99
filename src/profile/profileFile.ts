// A profile ⇄ the text of a file. The format goes by the file's ending, as in `faultline profile -o
// FILE`.

import { UserError } from '../base/errors.ts';
import { readCpuprofile, writeCpuprofile } from './formats/cpuprofile.ts';
import { readFolded, writeFolded } from './formats/folded.ts';
import { readSpeedscope, writeSpeedscope } from './formats/speedscope.ts';
import type { Profile, WeightKind } from './profile.ts';

export interface ProfileFormat {
  /** With its leading dot. */
  readonly ending: string;
  /** For people. */
  readonly label: string;
  readonly write: (profile: Profile, kind: WeightKind) => string;
  readonly read: (text: string) => Profile;
}

export const profileFormats: readonly ProfileFormat[] = [
  { ending: '.folded', label: 'Folded stacks', write: writeFolded, read: (t) => readFolded(t) },
  { ending: '.cpuprofile', label: 'V8 CPU profile', write: writeCpuprofile, read: readCpuprofile },
  {
    ending: '.speedscope.json',
    label: 'speedscope',
    write: writeSpeedscope,
    read: (text) => readSpeedscope(text),
  },
];

/**
 * The format of a file of this name; a UserError `profile.unknownFormat` names the endings we know.
 */
export function profileFormat(fileName: string): ProfileFormat {
  const found = profileFormats.find((format) => fileName.toLowerCase().endsWith(format.ending));
  if (found !== undefined) return found;
  throw new UserError('profile.unknownFormat', 'The ending of the file does not say its format.', {
    hint: `Use one of ${profileFormats.map((format) => format.ending).join(', ')}.`,
  });
}
