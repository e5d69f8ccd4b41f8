export type CgiHead = { status: number; headers: Record<string, string>; rest: Buffer };

/** A program that has not ended its head by here is not speaking CGI. */
export const CGI_HEAD_BYTES_MAX = 16 * 1024;

/** The head of a CGI program's answer, or null while it is incomplete. */
export function parseCgiHead(bytes: Buffer): CgiHead | null {
  const end = /\r?\n\r?\n/.exec(bytes.subarray(0, CGI_HEAD_BYTES_MAX).toString('latin1'));
  if (!end) return null;
  const headers: Record<string, string> = {};
  let status = 200;
  for (const line of bytes.subarray(0, end.index).toString('latin1').split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon < 1) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'status') status = Number.parseInt(value, 10) || 500;
    else headers[name] = value;
  }
  return { status, headers, rest: bytes.subarray(end.index + end[0].length) };
}
