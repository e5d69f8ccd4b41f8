import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { CHUNK_BYTES, HASH_BYTES, objectKeys, PAGE_BYTES, PAGES_PER_CHUNK, PAGES_PER_PACK } from './format.ts';
import { NotAuthentic, PackCipher, type StoreKey } from './keys.ts';
import { type ObjectStore, StoreFailure } from './object-store.ts';

/*
 * A pack: its chunks one after the other, then its directory, then the directory's length in four bytes. Each part is sealed
 * with the pack's own key under its own number, so none can be changed, moved, or taken from another pack. The directory
 * lists the chunks' sizes and the pages' hashes; only who wants to find duplicates reads it, since whoever refers to a pack
 * knows its chunks' sizes.
 */
const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
const RAW = 0;
const ZSTD = 1;
/** Level 1 costs a third of level 3 for nine tenths of what it saves. One piece of output is enough for a chunk of any content. */
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 }, chunkSize: CHUNK_BYTES + 4096 };
/** A whole chunk comes out in one piece, one that leaves room: a full one is followed by another. A longer one is not what was stored. */
const ONE_PIECE = { chunkSize: CHUNK_BYTES + PAGE_BYTES, maxOutputLength: CHUNK_BYTES };
const DIRECTORY_PART = 0xffffffff;
const CHUNKS_MAX = PAGES_PER_PACK / PAGES_PER_CHUNK;
/** A directory and its length fit into this. */
const DIRECTORY_BYTES_MAX = 8 + CHUNKS_MAX * 4 + PAGES_PER_PACK * HASH_BYTES + 64;

export type PackDirectory = {
  packId: string;
  /** Bytes of each sealed chunk, in order. */
  chunkBytes: number[];
  /** HASH_BYTES for each page, in the order of their slots. */
  hashes: Buffer;
};

/** Takes pages until it is full, then is written as one object. */
export class PackWriter {
  readonly packId = randomBytes(16).toString('hex');
  readonly #cipher: PackCipher;
  readonly #capacity: number;
  readonly #hashes = Buffer.alloc(PAGES_PER_PACK * HASH_BYTES);
  readonly #chunks: Promise<Buffer[]>[] = [];
  #pending = Buffer.allocUnsafe(CHUNK_BYTES);
  #pages = 0;

  /** @param capacity pages, at most PAGES_PER_PACK */
  constructor(key: StoreKey, capacity = PAGES_PER_PACK) {
    this.#capacity = capacity;
    this.#cipher = new PackCipher(key, this.packId);
  }

  get isFull(): boolean {
    return this.#pages === this.#capacity;
  }

  get isEmpty(): boolean {
    return this.#pages === 0;
  }

  /** @returns the page's slot */
  add(page: Buffer, hash: Buffer): number {
    const slot = this.#pages++;
    page.copy(this.#pending, (slot % PAGES_PER_CHUNK) * PAGE_BYTES);
    hash.copy(this.#hashes, slot * HASH_BYTES);
    if (this.#pages % PAGES_PER_CHUNK === 0) this.#closeChunk(CHUNK_BYTES);
    return slot;
  }

  /** Nothing may be added afterwards. @returns the object's bytes and its directory */
  async finish(): Promise<{ bytes: Buffer; directory: PackDirectory }> {
    const rest = this.#pages % PAGES_PER_CHUNK;
    if (rest > 0) this.#closeChunk(rest * PAGE_BYTES);
    const chunks = await Promise.all(this.#chunks);
    const hashes = this.#hashes.subarray(0, this.#pages * HASH_BYTES);
    const directory = { packId: this.packId, chunkBytes: chunks.map(lengthOf), hashes };
    const sealed = this.#cipher.seal(DIRECTORY_PART, encodeDirectory(directory));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(lengthOf(sealed));
    return { bytes: Buffer.concat([...chunks.flat(), ...sealed, length]), directory };
  }

  #closeChunk(bytes: number): void {
    const plain = this.#pending.subarray(0, bytes);
    this.#pending = Buffer.allocUnsafe(CHUNK_BYTES);
    const sealed = sealChunk(this.#cipher, this.#chunks.length, plain);
    // It is awaited in `finish`; until then a failure is not an unhandled one.
    sealed.catch(() => undefined);
    this.#chunks.push(sealed);
  }
}

function lengthOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

async function sealChunk(cipher: PackCipher, part: number, plain: Buffer): Promise<Buffer[]> {
  const packed = await compress(plain, LEVEL);
  const smaller = packed.length < plain.length;
  return cipher.seal(part, Buffer.of(smaller ? ZSTD : RAW), smaller ? packed : plain);
}

/** @returns the chunk's pages, checked. @throws NotAuthentic */
export async function openChunk(cipher: PackCipher, part: number, sealed: Buffer): Promise<Buffer> {
  const plain = cipher.open(part, sealed);
  const body = plain.subarray(1);
  const pages = plain[0] === ZSTD ? await decompress(body, ONE_PIECE) : body;
  if (pages.length === 0 || pages.length % PAGE_BYTES !== 0) throw new NotAuthentic(`part ${part} of pack ${cipher.packId}`);
  return pages;
}

export function encodeDirectory({ chunkBytes, hashes }: PackDirectory): Buffer {
  const head = Buffer.alloc(4 + chunkBytes.length * 4);
  head.writeUInt32LE(chunkBytes.length);
  for (const [index, bytes] of chunkBytes.entries()) head.writeUInt32LE(bytes, 4 + index * 4);
  return Buffer.concat([head, hashes]);
}

/** @throws NotAuthentic when it is no directory */
export function decodeDirectory(packId: string, plain: Buffer): PackDirectory {
  const count = plain.length < 4 ? -1 : plain.readUInt32LE(0);
  const hashes = plain.subarray(4 + count * 4);
  const pages = hashes.length / HASH_BYTES;
  if (count < 1 || count > CHUNKS_MAX || !Number.isInteger(pages) || Math.ceil(pages / PAGES_PER_CHUNK) !== count)
    throw new NotAuthentic(`the directory of pack ${packId}`);
  return { packId, chunkBytes: Array.from({ length: count }, (_, index) => plain.readUInt32LE(4 + index * 4)), hashes };
}

/** The directory of a stored pack. @throws ObjectMissing, StoreFailure, NotAuthentic */
export async function readDirectory(store: ObjectStore, key: StoreKey, packId: string): Promise<PackDirectory> {
  const name = objectKeys.pack(key.id, packId);
  const size = await store.size(name);
  if (size === null) throw new StoreFailure(`${name} is not there`, { retryable: false });
  const length = Math.min(size, DIRECTORY_BYTES_MAX);
  const end = await store.get(name, { offset: size - length, length });
  const sealedBytes = length < 4 ? 0 : end.readUInt32LE(length - 4);
  if (sealedBytes > length - 4) throw new NotAuthentic(`the directory of pack ${packId}`);
  const sealed = end.subarray(length - 4 - sealedBytes, length - 4);
  return decodeDirectory(packId, new PackCipher(key, packId).open(DIRECTORY_PART, sealed));
}
