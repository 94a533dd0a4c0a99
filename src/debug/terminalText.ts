// What a program prints may hold escape sequences that act on the terminal instead of its screen: set the
// clipboard, rename the tab, report a fake working directory. This filter lets those pass that draw.

/** `terminal`: all that draws and moves. `console`: colours only, as a debug console shows them. */
export type TerminalTextKind = 'terminal' | 'console';

type State = 'text' | 'escape' | 'intermediate' | 'csi' | 'string' | 'stringEscape';

/** Longest control sequence that is passed on, in characters. Real ones have some 40. */
const maxSequenceLength = 256;

/** Longest OSC string that is looked at; a link may be as long as an address is in practice. */
const maxStringLength = 2200;

/**
 * The OSC strings that a terminal is handed: where a web link begins, and the question for the colours of text and
 * background, by which programs choose their own; its answer holds nothing but colours. Not titles, the clipboard,
 * notifications, directories, the marks of shell integration (which run and record commands), or links to
 * anything on the user's computer.
 */
const passedStrings = /^(?:8;[\w=:.,-]{0,100};https?:\/\/[!-~]+|1[01];\?)$/;
/** Where a link ends. */
const linkEnd = '8;;';

// Characters that a stretch of plain text can hold: neither ESC nor a C1 control.
const special = /[\u001b\u0080-\u009f]/;
// Bell, backspace, vertical movement and the like mean nothing in a console.
const notForConsole = /[\u0000-\u0008\u000b\u000c\u000e-\u001a\u001c-\u001f\u007f]/g;

/**
 * Keeps its state between chunks: a sequence may be cut anywhere. States as in ECMA-48 and xterm; DCS, SOS, PM and
 * APC strings are dropped whole, and OSC strings but for the few of `passedStrings`.
 */
export class TerminalTextFilter {
  private readonly kind: TerminalTextKind;
  private state: State = 'text';
  /** The control sequence so far; undefined when it has grown too long to be passed on. */
  private sequence: string | undefined = '';
  /** Whether the string that is being dropped ends with its line, as one that was never closed has to. */
  private endsWithLine = true;
  /** The OSC string so far; undefined when it cannot be one that is passed on. */
  private osc: string | undefined;
  private isInLink = false;

  constructor(kind: TerminalTextKind) {
    this.kind = kind;
  }

  push(text: string): string {
    if (this.state === 'text' && !special.test(text)) return this.plain(text);
    let result = '';
    for (const char of text) result += this.next(char);
    return result;
  }

  private next(char: string): string {
    switch (this.state) {
      case 'text':
        return this.nextInText(char);
      case 'escape':
        return this.nextInEscape(char);
      case 'intermediate':
        return this.nextInIntermediate(char);
      case 'csi':
        return this.nextInCsi(char);
      case 'string':
        return this.nextInString(char);
      case 'stringEscape':
        // ESC \ ends the string; any other escape sequence ends it too, and begins.
        if (char === '\\') return this.endString();
        this.enter('escape');
        return this.next(char);
    }
  }

  private nextInText(char: string): string {
    if (char === '\u001b') return this.enter('escape');
    if (char === '\u009b') return this.enter('csi', '\u001b[');
    if (isStringStart(char)) return this.enterString(char === '\u009d');
    return char >= '\u0080' && char <= '\u009f' ? '' : this.plain(char);
  }

  private nextInEscape(char: string): string {
    if (char === '\u001b') return this.enter('escape');
    if (char === '[') return this.enter('csi', '\u001b[');
    // The 7-bit forms of DCS, SOS, OSC, PM and APC.
    if ('PX]^_'.includes(char)) return this.enterString(char === ']');
    if (char >= ' ' && char <= '/') return this.enter('intermediate', `\u001b${char}`);
    this.enter('text');
    // The end of a string that was cancelled before.
    if (char === '\\') return '';
    return char >= '0' && char <= '~' ? this.drawing(`\u001b${char}`) : this.next(char);
  }

  private nextInIntermediate(char: string): string {
    if (char >= ' ' && char <= '/') return this.grow(char);
    const sequence = this.sequence;
    this.enter('text');
    if (char < '0' || char > '~') return this.next(char);
    return sequence === undefined ? '' : this.drawing(sequence + char);
  }

  private nextInCsi(char: string): string {
    if (char >= ' ' && char <= '?') return this.grow(char);
    const sequence = this.sequence;
    this.enter('text');
    if (char < '@' || char > '~') return this.next(char);
    if (sequence === undefined) return '';
    if (this.kind === 'console') return char === 'm' ? sequence + char : '';
    // `t` works on the window: moves it, or has its title typed as input.
    return char === 't' ? '' : sequence + char;
  }

  private nextInString(char: string): string {
    if (char === '\u001b') return this.enter('stringEscape');
    if (char === '\n' && this.endsWithLine) {
      this.enter('text');
      return char;
    }
    // BEL and ST as one character end a string, CAN and SUB break it off.
    if ('\u0007\u009c'.includes(char)) return this.endString();
    if ('\u0018\u001a'.includes(char)) return this.enter('text');
    if (this.osc !== undefined) {
      this.osc = this.osc.length < maxStringLength ? this.osc + char : undefined;
    }
    return '';
  }

  private endString(): string {
    const { osc } = this;
    this.enter('text');
    if (osc === undefined) return '';
    const isEnd = osc === linkEnd && this.isInLink;
    if (!isEnd && !passedStrings.test(osc)) return '';
    if (osc.startsWith('8;')) this.isInLink = !isEnd;
    return `\u001b]${osc}\u001b\\`;
  }

  /** An OSC string has no line feeds. A DCS string may: the picture of a terminal that shows pictures. */
  private enterString(isOsc: boolean): '' {
    this.endsWithLine = isOsc || this.kind === 'console';
    this.osc = isOsc && this.kind === 'terminal' ? '' : undefined;
    return this.enter('string');
  }

  private enter(state: State, sequence = ''): '' {
    this.state = state;
    this.sequence = sequence;
    return '';
  }

  private grow(char: string): '' {
    if (this.sequence !== undefined) {
      this.sequence = this.sequence.length < maxSequenceLength ? this.sequence + char : undefined;
    }
    return '';
  }

  private plain(text: string): string {
    return this.kind === 'console' ? text.replace(notForConsole, '') : text;
  }

  private drawing(sequence: string): string {
    return this.kind === 'console' ? '' : sequence;
  }
}

/** The C1 forms of DCS, SOS, OSC, PM and APC. */
function isStringStart(char: string): boolean {
  return '\u0090\u0098\u009d\u009e\u009f'.includes(char);
}
