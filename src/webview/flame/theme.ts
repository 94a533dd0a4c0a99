// VS Code's theme → the colours we draw with, now and whenever it changes.

import { buildPalette, parseColour, type Palette, type Rgb, type ThemeKind } from './palette.ts';

export interface Theme {
  readonly palette: Palette;
  /** CSS colours of what is drawn over the boxes. */
  readonly focus: string;
  readonly hover: string;
  readonly fontFamily: string;
}

export function readTheme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const variable = (name: string): string => style.getPropertyValue(`--vscode-${name}`).trim();
  const kind = themeKind();
  const isDark = kind === 'dark' || kind === 'highContrast';
  const colour = (name: string, otherwise: Rgb): Rgb => parseColour(variable(name)) ?? otherwise;
  const background = colour('editor-background', isDark ? [31, 31, 31] : [255, 255, 255]);
  const foreground = colour('editor-foreground', isDark ? [204, 204, 204] : [59, 59, 59]);
  const isHighContrast = kind === 'highContrast' || kind === 'highContrastLight';
  return {
    palette: buildPalette({
      kind,
      background,
      foreground,
      border: isHighContrast ? colour('contrastBorder', foreground) : undefined,
    }),
    focus: variable(isHighContrast ? 'contrastActiveBorder' : 'focusBorder') || '#0078d4',
    hover: isDark ? '#ffffff' : '#000000',
    fontFamily: variable('font-family') || 'sans-serif',
  };
}

function themeKind(): ThemeKind {
  const { classList } = document.body;
  if (classList.contains('vscode-high-contrast-light')) return 'highContrastLight';
  if (classList.contains('vscode-high-contrast')) return 'highContrast';
  return classList.contains('vscode-light') ? 'light' : 'dark';
}

/**
 * Calls back when VS Code changes the theme: it rewrites the body's class and the root's variables.
 */
export function onThemeChange(listener: () => void): void {
  let isAsked = false;
  const ask = (): void => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      listener();
    });
  };
  const observer = new MutationObserver(ask);
  observer.observe(document.body, { attributes: true, attributeFilter: ['class'] });
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['style'] });
}
