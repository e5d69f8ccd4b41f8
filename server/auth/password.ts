import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

/*
 * Passwords as scrypt hashes that carry their own parameters, so raising them later leaves old hashes valid:
 * `scrypt$N$r$p$salt$hash`, salt and hash in base64url. The work runs in Node's thread pool, never on the event loop.
 */
// OWASP's setting for 32 MiB per hash: at most four run at once (the thread pool), so sign-ins cannot exhaust memory.
const PARAMETERS = { N: 2 ** 15, r: 8, p: 3 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;

export const PASSWORD_CHARS_MIN = 10;
/** Longer input is refused before it is hashed. */
export const PASSWORD_CHARS_MAX = 200;

type Parameters = typeof PARAMETERS;

function derive(password: string, salt: Buffer, bytes: number, { N, r, p }: Parameters): Promise<Buffer> {
  const options: ScryptOptions = { N, r, p, maxmem: 256 * N * r };
  return new Promise((resolve, reject) => {
    // NFKC: the same password typed on another keyboard is the same bytes.
    scrypt(password.normalize('NFKC'), salt, bytes, options, (err, key) => (err ? reject(err) : resolve(key)));
  });
}

export async function hashPassword(password: string, parameters: Parameters = PARAMETERS): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt, HASH_BYTES, parameters);
  const { N, r, p } = parameters;
  return ['scrypt', N, r, p, salt.toString('base64url'), hash.toString('base64url')].join('$');
}

// Compared against when there is no such person, so that the answer takes as long as for one there is.
let nobody: Promise<string> | null = null;

/** @param stored the hash, or null when there is none; that takes as long and is false */
export async function verifyPassword(password: string, stored: string | null): Promise<boolean> {
  nobody ??= hashPassword(randomBytes(SALT_BYTES).toString('hex'));
  const [scheme, N, r, p, salt, hash] = (stored ?? (await nobody)).split('$');
  if (scheme !== 'scrypt' || !salt || !hash) throw new Error('stored password hash has an unknown format');
  const expected = Buffer.from(hash, 'base64url');
  const parameters = { N: Number(N), r: Number(r), p: Number(p) };
  const actual = await derive(password, Buffer.from(salt, 'base64url'), expected.length, parameters);
  return timingSafeEqual(actual, expected) && stored !== null;
}
