import { createHash, hkdfSync } from 'node:crypto';

/** The installation's keys. Each wraps organizations' data keys; only the current one wraps new ones. */
export type Keyring = { current: WrappingKey; all: ReadonlyMap<string, WrappingKey> };

/** `id` tells which key wrapped something and nothing else about it. */
export type WrappingKey = { id: string; key: Buffer };

/**
 * @param current `WARREN_SECRETS_KEY`: at least 32 random characters
 * @param previous keys that may still be in use after `current` replaced them
 */
export function makeKeyring(current: string, previous: readonly string[] = []): Keyring {
  const [first, ...others] = [current, ...previous].map(toKey);
  return { current: first!, all: new Map([first!, ...others].map((key) => [key.id, key])) };
}

function toKey(text: string): WrappingKey {
  const key = Buffer.from(hkdfSync('sha256', text, '', 'warren secrets: wrapping key', 32));
  return { id: `k_${createHash('sha256').update('warren secrets: key id').update(key).digest('hex').slice(0, 16)}`, key };
}
