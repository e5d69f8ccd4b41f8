import { randomBytes } from 'node:crypto';

/** Prefix of every id we mint, by what it names. hostd's `idSchema` accepts all of them. */
const PREFIXES = {
  org: 'org',
  user: 'usr',
  accessToken: 'tok',
  member: 'mem',
  repository: 'rep',
  template: 'tpl',
  session: 'ses',
  message: 'msg',
  machine: 'mch',
  snapshot: 'snp',
  change: 'chg',
  check: 'chk',
  thread: 'thr',
  comment: 'cmt',
  repoEvent: 'evt',
  wake: 'wak',
  host: 'hst',
  egressRule: 'rul',
  secret: 'sec',
} as const;

export type IdKind = keyof typeof PREFIXES;

// 32 letters, so that a byte maps without bias; no i, l, o, u, which people misread.
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const RANDOM_CHARS = 20;

/** A new id such as `ses_3f…`: 100 random bits, so ids can be neither guessed nor enumerated. */
export function newId(kind: IdKind): string {
  let id = `${PREFIXES[kind]}_`;
  for (const byte of randomBytes(RANDOM_CHARS)) id += ALPHABET[byte % ALPHABET.length];
  return id;
}
