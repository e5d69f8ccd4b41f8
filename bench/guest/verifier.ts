import { execFile } from 'node:child_process';
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdir, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SOURCE = path.join(import.meta.dirname, 'verifier.c');
/** In every benchmarked guest. */
export const VERIFIER = '/opt/warren-bench/verifier';

/** Runs a program in a guest, whichever way leads into it, and gives its standard output. Rejects when it fails. */
export type RunInGuest = (argv: string[], options?: { timeoutMs?: number }) => Promise<string>;

/** What a guest that is not the one that was put to sleep, or not whole, is told apart by. */
export class Mismatch extends Error {
  override readonly name = 'Mismatch';
}

/** @returns the verifier's path, compiled once per version of its source */
export async function compileVerifier(dir: string): Promise<string> {
  const hash = createHash('sha256')
    .update(await readFile(SOURCE))
    .digest('hex');
  const file = path.join(dir, `verifier-${hash.slice(0, 16)}`);
  if (
    await readFile(file).then(
      () => true,
      () => false,
    )
  )
    return file;
  await mkdir(dir, { recursive: true });
  await run('cc', ['-O2', '-static', '-s', '-pthread', '-o', `${file}.new`, SOURCE]);
  await rename(`${file}.new`, file);
  return file;
}

/** The guest's new secret, known from now on to the guest's memory and to us. */
export async function renewSecret(guest: RunInGuest): Promise<string> {
  return wordsOf(await guest([VERIFIER, 'renew']), /^[0-9a-f]{64}$/)[0]!;
}

/**
 * Asks with a nonce that never was before. When this resolves, the guest that was given `secret` is awake: nothing else could have
 * known the answer, and it could not have been known earlier.
 *
 * @throws Mismatch for a wrong answer
 */
export async function proveAwake(guest: RunInGuest, secret: string): Promise<void> {
  const nonce = randomBytes(16).toString('hex');
  const [found] = wordsOf(await guest([VERIFIER, 'hash', nonce]), /^[0-9a-f]{64}$/);
  requireProof(secret, nonce, found!);
}

/** The same of a guest that has just booted and has no secret yet. */
export async function proveBooted(guest: RunInGuest): Promise<void> {
  const nonce = randomBytes(16).toString('hex');
  const [secret, found] = wordsOf(await guest([VERIFIER, 'fresh', nonce]), /^[0-9a-f]{64} [0-9a-f]{64}$/);
  requireProof(secret!, nonce, found!);
}

export function proofOf(secret: string, nonce: string): string {
  return createHmac('sha256', Buffer.from(secret, 'hex')).update(nonce).digest('hex');
}

function requireProof(secret: string, nonce: string, found: string): void {
  if (timingSafeEqual(Buffer.from(proofOf(secret, nonce)), Buffer.from(found))) return;
  throw new Mismatch('the guest answers, but it is not the one that was put to sleep');
}

const CHECK_AND_RANDOM = '"$0" check && "$0" random';

/**
 * Compares every page that the verifier holds, and draws a random value.
 *
 * @returns the value, 32 bytes as hex
 * @throws Mismatch when a page is not what it was
 */
export async function checkAndDraw(guest: RunInGuest): Promise<string> {
  const output = await guest(['sh', '-c', CHECK_AND_RANDOM, VERIFIER], { timeoutMs: 300_000 });
  const [pages, mismatches, random] = wordsOf(output.replace('\n', ' '), /^\d+ \d+ [0-9a-f]{64}$/);
  if (mismatches !== '0') throw new Mismatch(`${mismatches} of ${pages} pages are not what they were`);
  return random!;
}

/** Hashes that many blocks of 64 bytes. @returns milliseconds it took by the guest's clock */
export async function work(guest: RunInGuest, blocks: number): Promise<number> {
  return Number(wordsOf(await guest([VERIFIER, 'work', String(blocks)]), /^\d+$/)[0]) / 1000;
}

function wordsOf(output: string, shape: RegExp): string[] {
  const line = output.trim();
  if (!shape.test(line)) throw new Mismatch(`the verifier said ${JSON.stringify(line.slice(0, 200))}`);
  return line.split(' ');
}
