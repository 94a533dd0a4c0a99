// The texts that a shell would take for something else than text (reliability.md, appendix on quoting). Each that a
// shell might execute makes a file of this name where it is executed.

export const canary = 'faultline-canary';

export const payloads: Readonly<Record<string, string>> = {
  plain: 'hello',
  'single quote': "it's",
  substitution: `$(touch ${canary})\`touch ${canary}\``,
  semicolon: `; touch ${canary} #`,
  'line feed': 'a\nb',
  'backslash at the end': 'x\\',
  'two backslashes': 'a\\\\b',
  'backslash n': 'a\\nb',
  bang: 'a!b!!',
  history: '!ls',
  tilde: '~root',
  glob: '*',
  options: '-n -rf',
  braces: '{a,b}',
  caret: '^a^b',
  'UTF-8': 'é漢',
  'not UTF-8': '\udcff\udcfe',
  long: 'A'.repeat(100_000),
  fish: `x\\ ; touch ${canary} ; \\`,
  'carriage return': 'a\rb',
  escape: '\u001b[31m',
  empty: '',
  'equals sign': '=ls',
};
