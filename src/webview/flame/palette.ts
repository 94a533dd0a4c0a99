// Colours of boxes. Hues are spread over files, so that code of one module looks alike on every
// profile; lightness is chosen for the theme, so that text on every box is readable.

import { frameOrigin } from '../../profile/frame.ts';

export type Rgb = readonly [red: number, green: number, blue: number];

export type ThemeKind = 'light' | 'dark' | 'highContrast' | 'highContrastLight';

export interface ThemeColours {
  readonly kind: ThemeKind;
  readonly background: Rgb;
  readonly foreground: Rgb;
  /** The outline high contrast themes ask for; undefined in others. */
  readonly border: Rgb | undefined;
}

export interface Palette {
  /** By colour index: own code, libraries, the runtime. */
  readonly fills: readonly Rgb[];
  /** The same, for boxes that a search did not find. */
  readonly dimmed: readonly Rgb[];
  /** Of boxes that a search found. */
  readonly match: Rgb;
  readonly root: Rgb;
  /** One colour for each origin, for a legend. */
  readonly legend: readonly { readonly label: string; readonly colour: Rgb }[];
  /** Text on a fill, on a dimmed fill, on a match. */
  readonly text: Rgb;
  /** Opacity of the less important text on a fill. */
  readonly softAlpha: number;
  readonly dimmedText: Rgb;
  readonly matchText: Rgb;
  readonly edge: Rgb | undefined;
  readonly background: Rgb;
}

const hueCount = 24;
const shadeCount = 3;
const perOrigin = hueCount * shadeCount;
/** A blue, which no other sign on the page uses. */
const legendHue = 9;
const origins = ['own', 'library', 'runtime'] as const;

/**
 * The palette's index for a frame: hue by file, shade by name. The same on every profile and node:
 * of the path only the last folder and the name count, as what is above them differs between
 * releases and machines.
 */
export function colourIndex(name: string, file: string): number {
  const origin = origins.indexOf(frameOrigin(file));
  const hue = hash(file === '' ? name : file.split('/').slice(-2).join('/')) % hueCount;
  return origin * perOrigin + hue * shadeCount + (hash(name) % shadeCount);
}

/** FNV-1a over UTF-16 units. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  }
  // FNV's low bits are weak on short texts: fold the high ones in.
  return (value ^ (value >>> 15)) >>> 0;
}

/** Lightness and chroma (OKLCH) of one origin's fills. */
interface Tone {
  readonly lightness: number;
  /** Added once for each shade. */
  readonly step: number;
  readonly chroma: number;
}

type Tones = Readonly<Record<(typeof origins)[number], Tone>>;

const tones: Readonly<Record<ThemeKind, Tones>> = {
  dark: {
    own: { lightness: 0.42, step: 0.03, chroma: 0.1 },
    library: { lightness: 0.36, step: 0.022, chroma: 0.028 },
    runtime: { lightness: 0.35, step: 0.02, chroma: 0 },
  },
  light: {
    own: { lightness: 0.81, step: 0.03, chroma: 0.085 },
    library: { lightness: 0.895, step: 0.018, chroma: 0.025 },
    runtime: { lightness: 0.91, step: 0.012, chroma: 0 },
  },
  highContrast: {
    own: { lightness: 0.3, step: 0.03, chroma: 0.08 },
    library: { lightness: 0.22, step: 0.02, chroma: 0.02 },
    runtime: { lightness: 0.18, step: 0.02, chroma: 0 },
  },
  highContrastLight: {
    own: { lightness: 0.9, step: 0.025, chroma: 0.06 },
    library: { lightness: 0.955, step: 0.01, chroma: 0.012 },
    runtime: { lightness: 0.965, step: 0.008, chroma: 0 },
  },
};

export function buildPalette(theme: ThemeColours): Palette {
  const isDark = theme.kind === 'dark' || theme.kind === 'highContrast';
  const fills = origins.flatMap((origin) => fillsOf(tones[theme.kind][origin]));
  const black: Rgb = [0, 0, 0];
  const white: Rgb = [255, 255, 255];
  const text = isDark ? white : black;
  const match = oklch(isDark ? 0.8 : 0.84, 0.145, 88);
  const dimmed = fills.map((fill) => mix(fill, theme.background, 0.72));
  const isHighContrast = theme.border !== undefined;
  return {
    fills,
    dimmed,
    match,
    root: mix(theme.background, theme.foreground, isDark ? 0.2 : 0.12),
    legend: ['your code', 'libraries', 'built in'].map((label, origin) => ({
      label,
      colour: fills[origin * perOrigin + legendHue * shadeCount + 1]!,
    })),
    text,
    softAlpha: isHighContrast ? 1 : 0.8,
    dimmedText: mix(text, theme.background, isHighContrast ? 0.15 : 0.4),
    matchText: black,
    edge: theme.border,
    background: theme.background,
  };
}

function fillsOf({ lightness, step, chroma }: Tone): Rgb[] {
  const fills: Rgb[] = [];
  for (let hue = 0; hue < hueCount; hue++) {
    // Neighbouring indices are far apart on the circle, so the first files of a profile differ
    // well.
    const angle = 20 + ((hue * 7) % hueCount) * (360 / hueCount);
    for (let shade = 0; shade < shadeCount; shade++) {
      fills.push(oklch(lightness + step * shade, chroma, angle));
    }
  }
  return fills;
}

/** `share` of the way from one colour to another. */
export function mix(from: Rgb, to: Rgb, share: number): Rgb {
  const at = (index: 0 | 1 | 2): number =>
    Math.round(from[index] + (to[index] - from[index]) * share);
  return [at(0), at(1), at(2)];
}

/**
 * OKLCH (https://bottosson.github.io/posts/oklab/) to sRGB; what a screen cannot show loses chroma.
 */
export function oklch(lightness: number, chroma: number, hueDegrees: number): Rgb {
  for (let c = chroma; ; c -= 0.005) {
    const linear = oklchToLinear(lightness, Math.max(0, c), (hueDegrees * Math.PI) / 180);
    if (c <= 0 || linear.every((channel) => channel >= -1e-4 && channel <= 1.0001)) {
      const [red, green, blue] = linear.map(encodeChannel);
      return [red ?? 0, green ?? 0, blue ?? 0];
    }
  }
}

function oklchToLinear(lightness: number, chroma: number, hue: number): readonly number[] {
  const a = chroma * Math.cos(hue);
  const b = chroma * Math.sin(hue);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

function encodeChannel(linear: number): number {
  const value = Math.min(1, Math.max(0, linear));
  const encoded = value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
  return Math.round(encoded * 255);
}

/** WCAG 2 contrast ratio, 1 to 21. */
export function contrast(a: Rgb, b: Rgb): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return ((light ?? 0) + 0.05) / ((dark ?? 0) + 0.05);
}

function luminance([red, green, blue]: Rgb): number {
  const [r, g, b] = [red, green, blue].map((channel) => {
    const value = channel / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (r ?? 0) + 0.7152 * (g ?? 0) + 0.0722 * (b ?? 0);
}

/**
 * `#rgb`, `#rrggbb`, `#rrggbbaa`, `rgb(…)` or `rgba(…)`; alpha is dropped. Undefined for anything
 * else.
 */
export function parseColour(text: string): Rgb | undefined {
  const trimmed = text.trim();
  const short = /^#([0-9a-f])([0-9a-f])([0-9a-f])$/i.exec(trimmed);
  if (short !== null)
    return toRgb(short.slice(1).map((digit) => Number.parseInt(digit + digit, 16)));
  const long = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})(?:[0-9a-f]{2})?$/i.exec(trimmed);
  if (long !== null) return toRgb(long.slice(1).map((pair) => Number.parseInt(pair, 16)));
  const call = /^rgba?\(\s*([\d.]+)[\s,]+([\d.]+)[\s,]+([\d.]+)/i.exec(trimmed);
  return call === null ? undefined : toRgb(call.slice(1).map(Number));
}

function toRgb([red = 0, green = 0, blue = 0]: readonly number[]): Rgb {
  return [red, green, blue];
}

export function toCss([red, green, blue]: Rgb): string {
  return `rgb(${red} ${green} ${blue})`;
}

/**
 * A pixel of ImageData seen through a Uint32Array, on the little-endian machines browsers run on.
 */
export function toPixel([red, green, blue]: Rgb): number {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
