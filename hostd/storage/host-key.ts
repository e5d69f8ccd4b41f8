import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { readIfExists, writeAtomically } from './files.ts';
import type { Layout } from './layout.ts';

/*
 * The key with which this host signs what it must recognise as its own. It is a file of mode 0600 in hostd's private
 * directory: it protects against a changed, exchanged or half-restored snapshot, not against someone who reads as hostd does.
 */
const KEY = /^[0-9a-f]{64}$/;

/** Null when this host has none yet. @throws when the file holds something else, which must not be replaced silently */
export async function findHostKey(layout: Layout): Promise<string | null> {
  const text = (await readIfExists(layout.hostKey))?.trim() ?? null;
  if (text === null || KEY.test(text)) return text;
  throw new Error(`${layout.hostKey} is damaged: restore it, or remove it to trust the snapshots that are there`);
}

/** @param signAll brings everything that is there under the new key; the key is written after it, so a crash repeats this */
export async function ensureHostKey(layout: Layout, signAll: (key: string) => Promise<void>): Promise<void> {
  if ((await findHostKey(layout)) !== null) return;
  const key = randomBytes(32).toString('hex');
  await signAll(key);
  await writeAtomically(layout.hostKey, `${key}\n`);
}

/** HMAC-SHA-256 in hex. */
export function sign(key: string, text: string): string {
  return createHmac('sha256', Buffer.from(key, 'hex')).update(text).digest('hex');
}

export function isSigned(key: string, text: string, mac: string): boolean {
  const required = Buffer.from(sign(key, text));
  const found = Buffer.from(mac);
  return required.length === found.length && timingSafeEqual(required, found);
}
