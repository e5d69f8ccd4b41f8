/*
 * Sizes of the chunk store's format, version 1. A page is what guests dirty and what is compared; a chunk is what is
 * compressed and encrypted as one; a pack is the object that holds chunks. Changing any of them needs a new version: what is
 * stored was cut by them.
 *
 * 128 KiB chunks keep 95 % of the ratio of whole-file compression and let one page be read for the price of one chunk.
 * 16 MiB packs keep the number of requests low and bound what one retry repeats and what one upload holds in memory.
 */
export const FORMAT_VERSION = 1;
export const PAGE_BYTES = 4096;
export const PAGES_PER_CHUNK = 32;
export const CHUNK_BYTES = PAGE_BYTES * PAGES_PER_CHUNK;
export const PAGES_PER_PACK = 4096;
/** Bytes of a page's keyed hash: two pages with one hash cannot be made by someone who does not have the key. */
export const HASH_BYTES = 16;

/** Every object of the store. The key's id keeps tenants' objects apart, also for deletion and for bucket policies. */
export const objectKeys = {
  scope: (keyId: string) => `v1/${keyId}/`,
  packs: (keyId: string) => `v1/${keyId}/packs/`,
  pack: (keyId: string, packId: string) => `v1/${keyId}/packs/${packId}`,
  layers: (keyId: string) => `v1/${keyId}/layers/`,
  layer: (keyId: string, layerId: string) => `v1/${keyId}/layers/${layerId}`,
  refs: (keyId: string) => `v1/${keyId}/refs/`,
  ref: (keyId: string, name: string) => `v1/${keyId}/refs/${name}`,
  condemned: (keyId: string) => `v1/${keyId}/condemned/`,
  /** Names a pack or a layer that the collector wants to remove. */
  condemnedOne: (keyId: string, kind: 'packs' | 'layers', id: string) => `v1/${keyId}/condemned/${kind}-${id}`,
} as const;

/** The last part of an object's key. */
export function nameOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}
