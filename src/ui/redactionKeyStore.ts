// The key of the hashes that stand for secrets, in VS Code's secret storage: made once, for this user.

import type { SecretStorage } from 'vscode';
import { createRedactionKey, redactionKey, type RedactionKey } from '../env/redactionKey.ts';

const name = 'faultline.redactionKey';

export async function storedRedactionKey(secrets: SecretStorage): Promise<RedactionKey> {
  const stored = await secrets.get(name);
  if (stored !== undefined && /^[0-9a-f]{64}$/.test(stored)) return redactionKey(stored);
  const key = createRedactionKey();
  await secrets.store(name, key.secret);
  return key;
}
