// A typed node → where it is kept: a Host block at the end of an ssh configuration, or an entry of
// `faultline.nodes`. Nothing is written before the exact text was shown.

import { randomBytes } from 'node:crypto';
import {
  mkdir,
  mkdtemp,
  open,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import SSHConfig from 'ssh-config';
import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import type { TypedNode } from './sshCommandLine.ts';
import { listHosts, resolveHost, type SshConfigOptions, type SshTarget } from './sshConfig.ts';
import { expandHome, isMissing, splitWords } from './sshConfigLines.ts';
import { formatDestination } from './sshDestination.ts';

/** Why a name cannot be given to a new node, as a sentence; undefined when it can. */
export function nameProblem(name: string, taken: readonly string[]): string | undefined {
  if (name === '') return 'Type a name.';
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name) || name.length > 255) {
    return 'Use letters, digits, dots, hyphens and underscores.';
  }
  return taken.includes(name) ? `There is a node named ${name} already.` : undefined;
}

/** The entry of `faultline.nodes` for a node that needs no more than its name. */
export function settingsEntry(name: string, typed: TypedNode): { name: string; host?: string } {
  const host = formatDestination(typed);
  return host === name ? { name } : { name, host };
}

/**
 * The lines for an ssh configuration, ending in a line feed. Where the typed host is an alias that the
 * configuration has already, `alias` is what that leads to: HostName is not looked up as an alias again.
 */
export function hostBlock(name: string, typed: TypedNode, alias?: SshTarget): string {
  const jumps = typed.jumps.length > 0 ? typed.jumps : (alias?.proxyJump ?? []);
  const keys = typed.identityFiles.length > 0 ? typed.identityFiles : aliasKeys(alias);
  const host = alias?.host ?? typed.host;
  const port = typed.port ?? (alias?.port === 22 ? undefined : alias?.port);
  const block = new SSHConfig();
  block.append({
    Host: name,
    ...(host === name ? {} : { HostName: host.replaceAll('%', '%%') }),
    ...defined('User', typed.user ?? alias?.user),
    ...defined('Port', port?.toString()),
    ...(keys.length === 0 ? {} : { IdentityFile: [...keys] }),
    ...(jumps.length === 0 ? {} : { ProxyJump: jumps.join(',') }),
    ...(jumps.length === 0 ? defined('ProxyCommand', alias?.proxyCommand) : {}),
    ...Object.fromEntries(firstOfEach(typed.options)),
  });
  return withoutBlankLines(SSHConfig.stringify(block));
}

/** Of several values for one keyword ssh takes the first. */
function firstOfEach(options: TypedNode['options']): TypedNode['options'] {
  return options.filter(
    ([keyword], index) => options.findIndex(([other]) => other === keyword) === index,
  );
}

function defined(keyword: string, value: string | undefined): Readonly<Record<string, string>> {
  return value === undefined ? {} : { [keyword]: value };
}

/** Keys that the alias names, if they are not merely those that ssh tries for every host. */
function aliasKeys(alias: SshTarget | undefined): readonly string[] {
  const isDefault = (file: string): boolean => /\/\.ssh\/id_[a-z0-9_]+$/.test(file);
  return (alias?.identityFiles ?? []).filter((file) => !isDefault(file));
}

function withoutBlankLines(text: string): string {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => `${line}\n`)
    .join('');
}

/** Where a block goes: to the end of the file, or before its first Host or Match. */
export type BlockPlace = 'end' | 'first';

export interface BlockPreview {
  readonly place: BlockPlace;
  /** How the node would be reached. */
  readonly target: SshTarget;
  /** What other lines of the configuration make of it, as sentences: an earlier line wins. */
  readonly surprises: readonly string[];
}

/**
 * What the configuration would say about the node with the block in it. It goes to the end, unless lines there are
 * (such as a `User` under `Host *`) that decide something else: then before them. Errors: `ssh.configInvalid` when
 * ssh would refuse the block, `addNode.nameTaken` when the name stands there already.
 */
export async function previewBlock(
  name: string,
  block: string,
  typed: TypedNode,
  file: string,
  options: SshConfigOptions,
): Promise<BlockPreview> {
  if ((await listHosts(file)).includes(name)) {
    throw new UserError('addNode.nameTaken', `${file} has a host named ${name} already.`, {
      hint: 'Choose another name.',
    });
  }
  const text = await readExisting(file);
  const look = async (place: BlockPlace): Promise<BlockPreview> => {
    const target = await resolveIn(name, insertion(text, block, place).after, file, options);
    return { place, target, surprises: surprisesOf(typed, target) };
  };
  const atEnd = await look('end');
  if (atEnd.surprises.length === 0) return atEnd;
  const first = await look('first');
  return first.surprises.length < atEnd.surprises.length ? first : atEnd;
}

/** Asks about a configuration that is not written yet. */
async function resolveIn(
  name: string,
  text: string,
  file: string,
  options: SshConfigOptions,
): Promise<SshTarget> {
  const dir = await mkdtemp(join(tmpdir(), 'faultline-preview-'));
  try {
    const copy = join(dir, 'config');
    await writeFile(copy, text, { encoding: 'latin1', mode: 0o600 });
    return await resolveHost(name, { ...options, configFile: copy }).catch((error: unknown) => {
      throw error instanceof UserError ? named(error, copy, file) : error;
    });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** The user knows the real file, not our copy of it. */
function named(error: UserError, copy: string, file: string): UserError {
  return new UserError(error.code, error.message.replaceAll(copy, file), {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    cause: error,
  });
}

function surprisesOf(typed: TypedNode, target: SshTarget): string[] {
  const says = (what: string, wanted: string, is: string): string =>
    `An earlier line of the configuration decides the ${what}: ${toDisplay(is, 80)} instead of ${toDisplay(wanted, 80)}.`;
  const surprises: string[] = [];
  if (typed.user !== undefined && target.user !== typed.user) {
    surprises.push(says('user', typed.user, target.user));
  }
  if (typed.port !== undefined && target.port !== typed.port) {
    surprises.push(says('port', String(typed.port), String(target.port)));
  }
  const wanted = typed.jumps.join(',');
  const hops = target.proxyJump.join(',');
  if (wanted !== '' && hops !== wanted) {
    surprises.push(says('way', wanted, hops === '' ? (target.proxyCommand ?? 'none') : hops));
  }
  return surprises;
}

/**
 * Puts the block into the file; everything else stays byte for byte. The file is replaced in one step, so that nobody
 * ever reads half of it; a link stays a link. A new file is the user's alone (0600). Gives what `removeBlock` takes
 * away again. Error: `addNode.cannotWrite`.
 */
export async function insertBlock(file: string, block: string, place: BlockPlace): Promise<string> {
  let inserted = '';
  await replace(file, (text) => {
    const change = insertion(text, block, place);
    inserted = change.inserted;
    return change.after;
  });
  return inserted;
}

/** False when it does not stand in the file any more, or more than once: then nothing was changed. */
export async function removeBlock(file: string, inserted: string): Promise<boolean> {
  let isRemoved = false;
  await replace(file, (text) => {
    const at = text.indexOf(inserted);
    if (at < 0 || text.includes(inserted, at + 1)) return text;
    isRemoved = true;
    return text.slice(0, at) + text.slice(at + inserted.length);
  });
  return isRemoved;
}

/** Text as Latin-1, so that no byte of the user's is changed; with an empty line between the block and others. */
function insertion(
  text: string,
  block: string,
  place: BlockPlace,
): { readonly after: string; readonly inserted: string } {
  const eol = eolOf(text);
  const lines = inLines(block, eol);
  const at = place === 'end' ? text.length : firstSection(text);
  const before = text.slice(0, at);
  const gap = before === '' ? '' : before.endsWith('\n') ? eol : eol + eol;
  // Before the first section there is one empty line at most already.
  const inserted = at === text.length ? gap + lines : lines + eol;
  return { after: before + inserted + text.slice(at), inserted };
}

/** Where the first Host or Match begins, with the comment right above it; the end when there is none. */
function firstSection(text: string): number {
  const section = /^[ \t]*(?:host|match)[ \t="]/im.exec(text);
  if (section === null) return text.length;
  const comment = /(?:^[ \t]*#.*\n)+(?![^])/m.exec(text.slice(0, section.index));
  return comment?.index ?? section.index;
}

function eolOf(text: string): string {
  return /\r\n/.test(text) ? '\r\n' : '\n';
}

/** The block as the bytes of the file: its own text is UTF-8. */
function inLines(block: string, eol: string): string {
  return Buffer.from(block.replaceAll('\n', eol), 'utf8').toString('latin1');
}

async function readExisting(file: string): Promise<string> {
  try {
    return await readFile(file, 'latin1');
  } catch (error) {
    if (isMissing(error)) return '';
    throw error;
  }
}

async function replace(file: string, change: (text: string) => string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const real = await realpath(file).catch(() => file);
    const before = await stat(real).catch(() => undefined);
    const text = await readExisting(real);
    const next = change(text);
    if (next === text) return;
    const part = join(dirname(real), `.${basename(real)}.${randomBytes(6).toString('hex')}`);
    try {
      const handle = await open(part, 'wx', before === undefined ? 0o600 : before.mode & 0o777);
      try {
        await handle.writeFile(next, 'latin1');
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(part, real);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  } catch (error) {
    throw new UserError(
      'addNode.cannotWrite',
      `${file} could not be changed (${error instanceof Error ? toDisplay(error.message, 200) : 'unknown reason'}).`,
      { hint: 'Check that you may write it, or keep the node in the settings.', cause: error },
    );
  }
}

/** The key files and hosts to go through that do not exist, as sentences: mistakes that are cheap to tell early. */
export async function missingParts(typed: TypedNode): Promise<string[]> {
  const keys = typed.identityFiles.filter((file) => !file.includes('%') && !file.includes('$'));
  const found = await Promise.all(
    keys.map((file) =>
      stat(expandHome(file)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return keys
    .filter((_, i) => found[i] === false)
    .map((file) => `There is no file ${toDisplay(file, 200)}.`);
}

/** The options that would run a program on this machine, to be pointed out before they are written. */
export function programsOf(typed: TypedNode): string[] {
  return typed.options
    .filter(
      ([keyword, value]) => /^proxycommand$/i.test(keyword) && splitWords(value)?.[0] !== 'none',
    )
    .map(([, value]) => value);
}
