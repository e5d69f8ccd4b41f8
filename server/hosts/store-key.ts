import { createHmac, hkdfSync } from 'node:crypto';
import type { Replicate, StoreKeyInput } from '../../hostd/contract/replicas.ts';

/**
 * What an org's copies in the object store are encrypted with: derived, so that there is one secret to keep and none to look up.
 * The id says nothing of the org to whoever reads the bucket, and stays the same for one secret.
 */
export function storeKeyOf(secret: string, orgId: string): StoreKeyInput {
  const name = createHmac('sha256', secret).update(`store key id of ${orgId}`).digest('hex').slice(0, 24);
  const bytes = Buffer.from(hkdfSync('sha256', secret, orgId, 'warren store key 1', 32));
  return { id: `k-${name}`, secret: bytes.toString('base64') };
}

/** @param secrets the current one first, then former ones, under which older copies are still found */
export function storeKeysOf(secrets: readonly string[], orgId: string): StoreKeyInput[] {
  return secrets.map((secret) => storeKeyOf(secret, orgId));
}

/** What a suspend or a later sweep asks for. Undefined where no secret is set: then nothing is copied. */
export function replicationOf(secrets: readonly string[], orgId: string, group: string): Replicate | undefined {
  const [current] = secrets;
  return current === undefined ? undefined : { key: storeKeyOf(current, orgId), group };
}
