import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';

/** Every regular file below a directory; what is linked from elsewhere is not its own. */
export async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

/** Which of the texts occur anywhere in a file, however it is cut into pieces by reading. */
export async function textsIn(file: string, texts: readonly string[]): Promise<string[]> {
  const wanted = new Set(texts);
  const overlap = Math.max(...texts.map((text) => text.length)) - 1;
  let tail: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(file, { highWaterMark: 4 * 1024 * 1024 })) {
    const bytes = Buffer.concat([tail, chunk as Buffer]);
    for (const text of wanted) if (bytes.includes(text)) wanted.delete(text);
    tail = bytes.subarray(Math.max(0, bytes.length - overlap));
  }
  return texts.filter((text) => !wanted.has(text));
}
