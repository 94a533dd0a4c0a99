// All text that comes from a node passes here before a person sees it (threat T-04): a log line, a banner
// or a file name cannot move the cursor, write the clipboard, or turn around the reading direction.

// C0 and C1 controls but tab; bidi controls; zero-width and other invisible format characters; line separators.
const unsafe =
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

const names: Readonly<Record<string, string>> = {
  '\u0000': 'NUL',
  '\u0007': 'BEL',
  '\u0008': 'BS',
  '\u000a': 'LF',
  '\u000d': 'CR',
  '\u001b': 'ESC',
  '\u007f': 'DEL',
};

/**
 * The text with every character that could act instead of being seen written as a visible token such as
 * `‹ESC›` or `‹U+202E›`. The result is one line. Tabs stay.
 */
export function toDisplay(text: string, maxLength = Infinity): string {
  const visible = text.replace(
    unsafe,
    (char) =>
      `‹${names[char] ?? `U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`}›`,
  );
  return visible.length > maxLength ? `${visible.slice(0, maxLength)}…` : visible;
}

/**
 * As `toDisplay`, for VS Code's notifications, progress titles and the prompts of input boxes: there `[x](command:y)`
 * becomes a link that runs a command, so what could be one is broken by a space.
 */
export function toNotice(text: string, maxLength = Infinity): string {
  return toDisplay(text, maxLength).replaceAll('](', '] (');
}

/** As `toDisplay`, for text of several lines: line feeds stay. */
export function toDisplayLines(text: string): string {
  return text
    .split('\n')
    .map((line) => toDisplay(line))
    .join('\n');
}

/** The same JSON with what a terminal could act on, and JSON itself lets pass, as escapes. */
export function asciiControls(jsonText: string): string {
  return jsonText.replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
