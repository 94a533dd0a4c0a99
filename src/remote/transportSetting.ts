// The setting `faultline.ssh.transport`.

const transportSettings = ['auto', 'ssh2', 'system'] as const;

/** `auto`: ssh2, and the system's ssh for what that cannot do. */
export type TransportSetting = (typeof transportSettings)[number];

export function isTransportSetting(value: unknown): value is TransportSetting {
  return (transportSettings as readonly unknown[]).includes(value);
}
