import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Brings files to the disk and out of the page cache, as after a long time in which other things were used. */
export async function dropFromCache(files: readonly string[]): Promise<void> {
  for (const file of files) {
    await run('sync', [file]);
    // dd advises the kernel that it needs nothing of the file; with no bytes to copy that is all it does.
    await run('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
  }
}
