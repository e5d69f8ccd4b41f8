import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';

async function listFiles(entry: string): Promise<string[]> {
  const found = await stat(entry).catch(() => null);
  if (!found) return [];
  if (found.isFile()) return [entry];
  const names = await readdir(entry);
  const nested = await Promise.all(
    names.filter((name) => name !== 'node_modules').map((name) => listFiles(path.join(entry, name))),
  );
  return nested.flat();
}

/** Hash over names and contents of files and folders: what a build was made from. Missing entries count as empty. */
export async function hashSources(root: string, entries: readonly string[]): Promise<string> {
  const files = (await Promise.all(entries.map((entry) => listFiles(path.join(root, entry))))).flat().sort();
  const hash = createHash('sha256');
  for (const file of files) {
    hash
      .update(path.relative(root, file))
      .update('\0')
      .update(await readFile(file))
      .update('\0');
  }
  return hash.digest('hex');
}
