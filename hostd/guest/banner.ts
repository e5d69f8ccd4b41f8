const START = Buffer.from('SSH-2.0-');
/** RFC 4253: 255 characters with CR LF. */
const BANNER_BYTES_MAX = 255;

/**
 * Offset of the last complete SSH identification line (`SSH-2.0-… LF`) in guest bytes, -1 when there is none yet. The last one,
 * because an `sshd` that was replaced before anyone talked to it has left its own line behind.
 */
export function findBanner(bytes: Buffer): number {
  for (let at = bytes.lastIndexOf(START); at !== -1; at = at === 0 ? -1 : bytes.lastIndexOf(START, at - 1)) {
    const end = bytes.indexOf(0x0a, at);
    if (end !== -1 && end - at < BANNER_BYTES_MAX && bytes.subarray(at, end).every(isPrintable)) return at;
  }
  return -1;
}

function isPrintable(byte: number): boolean {
  return (byte >= 0x20 && byte < 0x7f) || byte === 0x0d;
}

/** A banner as `beforeSuspend` carries it: exactly one identification line, else null. It comes from a hostile guest. */
export function parseCarriedBanner(carried: string | null): Buffer | null {
  if (carried === null || carried.length > BANNER_BYTES_MAX) return null;
  const bytes = Buffer.from(carried, 'latin1');
  return findBanner(bytes) === 0 && bytes.indexOf(0x0a) === bytes.length - 1 ? bytes : null;
}
