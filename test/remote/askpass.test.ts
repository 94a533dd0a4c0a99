import assert from 'node:assert/strict';
import test from 'node:test';
import {
  AskpassReader,
  readQuestion,
  type AskpassQuestion,
  type LoginQuestion,
} from '../../src/remote/askpass.ts';

const token = 'faultline-0123';
const fingerprint = 'SHA256:ZXgtQVN1+pK9D7LqkRHM41ogn/wNXO0yRX651XMeKsU';
const hostKeyText = `The authenticity of host '[127.0.0.1]:2222 ([127.0.0.1]:2222)' can't be established.
ED25519 key fingerprint is ${fingerprint}.
This key is not known by any other names.
Are you sure you want to continue connecting (yes/no/[fingerprint])? `;

test('questions are taken out of the lines, wherever the text is cut', () => {
  const text = `debug1: one
a banner without an end
${token} 42 ask
${hostKeyText}
${token}
faultline-9999 43 ask
two\r

${token} 44 none
Touch it
${token}
${token} 45; ask
rest`;
  for (const size of [1, 7, 64, text.length]) {
    const lines: string[] = [];
    const questions: AskpassQuestion[] = [];
    const reader = new AskpassReader(
      token,
      (line) => lines.push(line),
      (question) => questions.push(question),
    );
    for (let at = 0; at < text.length; at += size) reader.accept(text.slice(at, at + size));
    reader.end();
    assert.deepEqual(lines, [
      'debug1: one',
      'a banner without an end',
      'faultline-9999 43 ask',
      'two',
      `${token} 45; ask`,
      'rest',
    ]);
    assert.deepEqual(questions, [
      { id: '42', kind: 'ask', text: hostKeyText },
      { id: '44', kind: 'none', text: 'Touch it' },
    ]);
  }
});

const hostKey: LoginQuestion = {
  kind: 'hostKey',
  name: '[127.0.0.1]:2222',
  fingerprint,
  takesFingerprint: true,
};
const passphrase = "Enter passphrase for key '/home/me/it's mine': ";

const readings: readonly (readonly [string, string | undefined, LoginQuestion])[] = [
  [hostKeyText, undefined, hostKey],
  [
    hostKeyText.replace('This key is', 'Matching host key fingerprint found in DNS.\nThis key is'),
    undefined,
    hostKey,
  ],
  [
    hostKeyText.replace(/This key.*\n/, '').replace('/[fingerprint]', ''),
    undefined,
    { ...hostKey, takesFingerprint: false },
  ],
  [passphrase, 'publickey', { kind: 'passphrase', keyFile: "/home/me/it's mine" }],
  [
    'Enter PIN for ED25519-SK key /home/me/.ssh/id_ed25519_sk: ',
    'publickey',
    {
      kind: 'secret',
      text: 'Enter PIN for ED25519-SK key /home/me/.ssh/id_ed25519_sk: ',
      isFromNode: false,
    },
  ],
  [
    "me@web's password: ",
    'password',
    { kind: 'secret', text: "me@web's password: ", isFromNode: false },
  ],
  ["Enter me@web's old password: ", 'password', { kind: 'passwordChange' }],
  // The node's own words, which are taken for nothing else.
  [
    '(me@web) Verification code: ',
    'keyboard-interactive',
    { kind: 'secret', text: 'Verification code: ', isFromNode: true },
  ],
  [passphrase, 'keyboard-interactive', { kind: 'secret', text: passphrase, isFromNode: true }],
  [hostKeyText, 'keyboard-interactive', { kind: 'secret', text: hostKeyText, isFromNode: true }],
  ['What else? ', 'gssapi-with-mic', { kind: 'secret', text: 'What else? ', isFromNode: true }],
];

for (const [text, method, expected] of readings) {
  test(`${method ?? 'before the login'}: ${text.slice(0, 40)} → ${expected.kind}`, () => {
    assert.deepEqual(readQuestion({ id: '1', kind: 'ask', text }, method), expected);
  });
}

test('a notice wants no answer, and a confirmation is none of the other questions', () => {
  const text = 'Confirm user presence for key ED25519-SK SHA256:x';
  assert.deepEqual(readQuestion({ id: '1', kind: 'none', text }, 'publickey'), {
    kind: 'notice',
    text,
  });
  assert.deepEqual(readQuestion({ id: '1', kind: 'confirm', text: passphrase }, 'publickey'), {
    kind: 'confirm',
    text: passphrase,
  });
});
