import { close } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const CLOSE_ON_EXEC = 0o2000000;

/**
 * Closes what this process's parent left open in it by accident: every machine would inherit it. Node sees to the first
 * ones itself, but only up to the first gap. What Node has opened never reaches another program and is left alone.
 *
 * @returns the descriptors that were closed
 */
export async function closeInherited(): Promise<number[]> {
  const numbers = (await readdir('/proc/self/fdinfo')).map(Number).filter((fd) => fd > 2);
  const flags = await Promise.all(numbers.map((fd) => readFile(`/proc/self/fdinfo/${fd}`, 'utf8').catch(() => null)));
  const left = numbers.filter((_, index) => {
    const found = /^flags:\s+0?([0-7]+)$/m.exec(flags[index] ?? '')?.[1];
    return found !== undefined && (Number.parseInt(found, 8) & CLOSE_ON_EXEC) === 0;
  });
  await Promise.all(left.map((fd) => promisify(close)(fd)));
  return left;
}
