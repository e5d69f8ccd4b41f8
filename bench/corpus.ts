import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';

const compress = promisify(zstdCompress);
const PAGE = 4096;
const PAGES_PER_SAMPLE = 16;
const SAMPLES = 2_000;

export type Corpus = { zeroShare: number; compressedRatio: number };

/** What memory is like: share of zero pages, and how well the rest compresses in 64 KiB pieces with zstd 1. Samples evenly. */
export async function describeMemory(file: string): Promise<Corpus> {
  const handle = await open(file, 'r');
  try {
    return await sample(handle, (await handle.stat()).size);
  } finally {
    await handle.close();
  }
}

async function sample(handle: FileHandle, bytes: number): Promise<Corpus> {
  const length = PAGES_PER_SAMPLE * PAGE;
  const places = Math.floor(bytes / length);
  const step = Math.max(1, Math.floor(places / SAMPLES));
  const zero = Buffer.alloc(PAGE);
  const buffer = Buffer.alloc(length);
  let [pages, zeros, plain, packed] = [0, 0, 0, 0];
  for (let at = 0; at < places; at += step) {
    await handle.read(buffer, 0, length, at * length);
    const kept: Buffer[] = [];
    for (let page = 0; page < PAGES_PER_SAMPLE; page += 1) {
      const one = buffer.subarray(page * PAGE, (page + 1) * PAGE);
      if (one.equals(zero)) zeros += 1;
      else kept.push(Buffer.from(one));
    }
    pages += PAGES_PER_SAMPLE;
    if (kept.length === 0) continue;
    const data = Buffer.concat(kept);
    plain += data.length;
    packed += (await compress(data, { params: { [constants.ZSTD_c_compressionLevel]: 1 } })).length;
  }
  return { zeroShare: pages === 0 ? 0 : zeros / pages, compressedRatio: packed === 0 ? 1 : plain / packed };
}
