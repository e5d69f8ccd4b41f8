import { open } from 'node:fs/promises';
import path from 'node:path';

const PAGE_BYTES = 4096;
const PIECE_BYTES = 4 * 1024 * 1024;

/** Bytes in pages that are not the same in both files, by reading both. */
export async function countDifferent(one: string, other: string): Promise<number> {
  let different = 0;
  await compare(one, other, (left, right) => {
    for (let at = 0; at < Math.max(left.length, right.length); at += PAGE_BYTES)
      if (!left.subarray(at, at + PAGE_BYTES).equals(right.subarray(at, at + PAGE_BYTES))) different += PAGE_BYTES;
  });
  return different;
}

/** @throws naming the first file that was not given back as it was */
export async function sameFiles(original: string, restored: string, files: readonly string[]): Promise<void> {
  for (const file of files) {
    await compare(path.join(original, file), path.join(restored, file), (left, right) => {
      if (!left.equals(right)) throw new Error(`${file} was not given back as it was`);
    });
  }
}

async function compare(one: string, other: string, look: (left: Buffer, right: Buffer) => void): Promise<void> {
  const handles = await Promise.all([open(one), open(other)]);
  const buffers = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(PIECE_BYTES)] as const;
  try {
    for (let position = 0; ; position += PIECE_BYTES) {
      const [left, right] = await Promise.all(
        handles.map((handle, index) => handle.read(buffers[index]!, 0, PIECE_BYTES, position)),
      );
      if (left!.bytesRead === 0 && right!.bytesRead === 0) return;
      const parts = [buffers[0].subarray(0, left!.bytesRead), buffers[1].subarray(0, right!.bytesRead)] as const;
      if (!parts[0].equals(parts[1])) look(...parts);
    }
  } finally {
    for (const handle of handles) await handle.close();
  }
}
