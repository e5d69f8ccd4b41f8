import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes } from 'node:crypto';
import { HASH_BYTES, PAGE_BYTES } from './format.ts';

/** What a tenant's objects are encrypted with. hostd is handed it with each request and keeps it in memory only. */
export type StoreKey = {
  /** Names the key in the store. Says nothing of the tenant to whoever reads the store. */
  id: string;
  /** 32 bytes. */
  secret: Buffer;
};

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const SEAL_BYTES = NONCE_BYTES + TAG_BYTES;

/** Something in the store is not what was put there: a flipped bit, an exchanged or a cut object, another key. */
export class NotAuthentic extends Error {
  constructor(what: string) {
    super(`${what} is not what was stored: it was changed, exchanged or cut off, or belongs to another key`);
    this.name = 'NotAuthentic';
  }
}

function derive(key: StoreKey, purpose: string, salt: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key.secret, salt, `warren chunk store 1: ${purpose}`, 32));
}

/** Encrypts one small object. Its name is authenticated with it, so that it cannot be taken for another. */
export function seal(key: StoreKey, name: string, plain: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', derive(key, 'objects', ''), nonce);
  cipher.setAAD(Buffer.from(`${key.id} ${name}`));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @throws NotAuthentic */
export function unseal(key: StoreKey, name: string, sealed: Buffer): Buffer {
  if (sealed.length < SEAL_BYTES) throw new NotAuthentic(name);
  const decipher = createDecipheriv('aes-256-gcm', derive(key, 'objects', ''), sealed.subarray(0, NONCE_BYTES));
  decipher.setAAD(Buffer.from(`${key.id} ${name}`));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  return open(decipher, sealed.subarray(NONCE_BYTES, -TAG_BYTES), name);
}

/**
 * Encrypts the parts of one pack. Each pack has a key of its own, made from its random id, so that a part's number can be its
 * nonce: no two parts ever meet under one key and nonce, whatever crashes and is repeated.
 */
export class PackCipher {
  readonly packId: string;
  readonly #key: Buffer;

  constructor(key: StoreKey, packId: string) {
    this.packId = packId;
    this.#key = derive(key, 'pack', packId);
  }

  /** @param plain in pieces that follow each other @returns the sealed part in such pieces: it is written beside others, once */
  seal(part: number, ...plain: readonly Uint8Array[]): Buffer[] {
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonceOf(part));
    return [...plain.map((piece) => cipher.update(piece)), cipher.final(), cipher.getAuthTag()];
  }

  /** @throws NotAuthentic */
  open(part: number, sealed: Buffer): Buffer {
    const name = `part ${part} of pack ${this.packId}`;
    if (sealed.length < TAG_BYTES) throw new NotAuthentic(name);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonceOf(part));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    return open(decipher, sealed.subarray(0, -TAG_BYTES), name);
  }
}

function nonceOf(part: number): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUInt32LE(part);
  return nonce;
}

function open(decipher: ReturnType<typeof createDecipheriv>, text: Buffer, what: string): Buffer {
  const head = decipher.update(text);
  try {
    const rest = decipher.final();
    return rest.length === 0 ? head : Buffer.concat([head, rest]);
  } catch {
    throw new NotAuthentic(what);
  }
}

/** Hashes pages under a tenant's key: equal pages are found, and nobody without the key can make two that look equal. */
export class PageHasher {
  readonly #scratch: Buffer;

  constructor(key: StoreKey) {
    this.#scratch = Buffer.alloc(32 + PAGE_BYTES);
    derive(key, 'page hash', '').copy(this.#scratch);
  }

  /** @param page PAGE_BYTES long @returns HASH_BYTES */
  hash(page: Buffer): Buffer {
    page.copy(this.#scratch, 32);
    return hash('sha256', this.#scratch, 'buffer').subarray(0, HASH_BYTES);
  }
}
