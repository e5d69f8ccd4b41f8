import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Keyring } from './keyring.ts';

/*
 * How secrets lie in the database: each organization has a data key, which encrypts its secrets; the installation's key, which is
 * not in the database, encrypts the data keys. AES-256-GCM throughout. What a ciphertext is for is authenticated with it: moved to
 * another organization, another secret, another host or another header it does not open.
 */
const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

export type WrappedKey = { wrappedBy: string; wrapped: Uint8Array };

/** What a secret's value is bound to. */
export type SecretBinding = { orgId: string; secretId: string; host: string; header: string; plainHttp: boolean };

/** Something that should open did not: changed, moved, or encrypted with a key that is not here. Says nothing of what is in it. */
export class SealError extends Error {}

export function newDataKey(): Buffer {
  return randomBytes(KEY_BYTES);
}

export function wrapDataKey(keyring: Keyring, orgId: string, dataKey: Buffer): WrappedKey {
  const { id, key } = keyring.current;
  return { wrappedBy: id, wrapped: seal(key, aadOfKey(orgId, id), dataKey) };
}

/** @throws SealError when the key that wrapped it is not in the ring */
export function unwrapDataKey(keyring: Keyring, orgId: string, { wrappedBy, wrapped }: WrappedKey): Buffer {
  const found = keyring.all.get(wrappedBy);
  if (!found) {
    throw new SealError(
      `the organization's data key is wrapped with ${wrappedBy}, which is not here: set WARREN_SECRETS_KEY_PREVIOUS to the key used before`,
    );
  }
  return open(found.key, aadOfKey(orgId, wrappedBy), wrapped);
}

export function sealValue(dataKey: Buffer, binding: SecretBinding, value: string): Uint8Array {
  return seal(dataKey, aadOfValue(binding), Buffer.from(value));
}

/** @throws SealError */
export function openValue(dataKey: Buffer, binding: SecretBinding, sealed: Uint8Array): string {
  return open(dataKey, aadOfValue(binding), sealed).toString('utf8');
}

function aadOfKey(orgId: string, wrappedBy: string): Buffer {
  return Buffer.from(JSON.stringify(['warren data key', VERSION, orgId, wrappedBy]));
}

function aadOfValue({ orgId, secretId, host, header, plainHttp }: SecretBinding): Buffer {
  return Buffer.from(JSON.stringify(['warren secret', VERSION, orgId, secretId, host, header, plainHttp]));
}

/** Version, nonce, tag, ciphertext. */
function seal(key: Buffer, aad: Buffer, plain: Buffer): Uint8Array<ArrayBuffer> {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad);
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return new Uint8Array(Buffer.concat([Buffer.from([VERSION]), nonce, cipher.getAuthTag(), body]));
}

function open(key: Buffer, aad: Buffer, sealed: Uint8Array): Buffer {
  const bytes = Buffer.from(sealed);
  const bodyAt = 1 + NONCE_BYTES + TAG_BYTES;
  if (bytes.length < bodyAt || bytes[0] !== VERSION) throw new SealError('the ciphertext is not one of this version');
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(1, 1 + NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(bytes.subarray(1 + NONCE_BYTES, bodyAt));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(bodyAt)), decipher.final()]);
  } catch {
    throw new SealError('the ciphertext was changed or moved, or belongs to another key');
  }
}
