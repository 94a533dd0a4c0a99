// What may be typed in the place of a host: `web`, `me@web`, `me@web:2222`, `[::1]:22`, `ssh://me@web:2222`.

import { domainToASCII } from 'node:url';
import { UserError } from '../base/errors.ts';

export interface Destination {
  readonly user: string | undefined;
  /** An alias of the ssh configuration, a host name or an address, without brackets. */
  readonly host: string;
  readonly port: number | undefined;
}

/**
 * Whether a name may be handed to `ssh` at all. A settings file may come from elsewhere: a name that
 * begins with `-` would be an option, and shells must never see anything but these characters (T-22).
 */
export function isSafeHostName(name: string): boolean {
  return name.length <= 255 && /^[A-Za-z0-9_%[\]:.@][A-Za-z0-9_%[\]:.@-]*$/.test(name);
}

/** As `isSafeHostName`; also no `%` and no brackets, which mean something in a configuration. */
export function isSafeUserName(name: string): boolean {
  return name.length <= 64 && /^[A-Za-z0-9_][A-Za-z0-9_.@+\\-]*\$?$/.test(name);
}

/** Undefined when a part of it is missing or could be taken for something else. */
export function parseDestination(text: string): Destination | undefined {
  const isUri = /^ssh:\/\//i.test(text);
  const whole = isUri ? text.slice('ssh://'.length).replace(/\/$/, '') : text;
  const at = whole.lastIndexOf('@');
  // `user;parameter=value@host` is a form of the URI that ssh itself does not use.
  const written = at < 0 ? undefined : whole.slice(0, at).replace(isUri ? /;.*$/ : /(?!)/, '');
  const user = isUri && written !== undefined ? percentDecoded(written) : written;
  const place = splitPort(whole.slice(at + 1));
  if (place === undefined || !isSafeHostName(place.host) || place.host.includes('@'))
    return undefined;
  if (at >= 0 && (user === undefined || !isSafeUserName(user))) return undefined;
  return { user, ...place };
}

function splitPort(text: string): Pick<Destination, 'host' | 'port'> | undefined {
  const parts = /^\[([^\]]+)\](?::(\d+))?$/.exec(text) ?? /^([^:[\]]+)(?::(\d+))?$/.exec(text);
  // An IPv6 address without brackets has no place for a port.
  if (parts === null)
    return /^[0-9A-Fa-f:.]*:[^[\]]*$/.test(text) ? { host: text, port: undefined } : undefined;
  const [, host = '', digits] = parts;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  return { host, port };
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The shortest text that `parseDestination` reads as this. */
export function formatDestination({ user, host, port }: Destination): string {
  const name = port !== undefined && host.includes(':') ? `[${host}]` : host;
  return `${user === undefined ? '' : `${user}@`}${name}${port === undefined ? '' : `:${port}`}`;
}

/** A UserError `node.badName` that says what is wrong with a name, and for an IDN how ssh wants it. */
export function badName(text: string): UserError {
  const ascii = /[^\0-\x7f]/.test(text) ? domainToASCII(text) : '';
  return new UserError('node.badName', `"${text.slice(0, 80)}" is not a valid host name.`, {
    hint:
      ascii !== '' && isSafeHostName(ascii)
        ? `ssh takes it in its ASCII form: ${ascii}`
        : 'Use letters, digits, dots, colons, hyphens and underscores.',
  });
}
