/*
 * Paths of requests and the patterns that rules hold against them. A path is brought into one form before it is compared, and that
 * form is what travels on: what was decided about is what the server sees. A path that servers are known to read in different
 * ways is not repaired but refused. Like canonical-host.ts this runs in browsers too.
 */

export type ReadPath = { ok: true; path: string } | { ok: false; why: string };

const UNRESERVED = /^[A-Za-z0-9._~-]$/;
const PATH_CHARACTERS_MAX = 8_000;

/**
 * The path of a request, without its query: escapes of plain characters undone, other escapes in upper case. Refused are `.` and
 * `..` as segments (written any way), empty segments but the last, backslashes, escaped slashes, control characters, `#`,
 * broken escapes and bytes beyond ASCII.
 */
export function readPath(text: string): ReadPath {
  if (!text.startsWith('/')) return refuse('it does not begin with a slash');
  if (text.length > PATH_CHARACTERS_MAX) return refuse(`it is longer than ${PATH_CHARACTERS_MAX} characters`);
  if (/[^\x21-\x7e]/.test(text)) return refuse('it holds characters that must be written as %XX');
  if (/[\\#?]/.test(text)) return refuse('it holds a backslash, # or ?');
  if (/%(?![0-9a-f]{2})/i.test(text)) return refuse('it holds a % that begins no %XX');
  if (/%(2f|5c|[01][0-9a-f]|7f)/i.test(text)) return refuse('it holds an escaped slash, backslash or control character');
  const path = text.replace(/%([0-9a-f]{2})/gi, (written, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return UNRESERVED.test(character) ? character : written.toUpperCase();
  });
  const segments = segmentsOf(path);
  // `..;` and `.;` are parent and self to servers that take path parameters.
  if (segments.some((segment) => /^\.{1,2}(;|$)/.test(segment))) return refuse('it holds . or .. as a segment');
  if (segments.slice(0, -1).includes('')) return refuse('it holds // (an empty segment)');
  return { ok: true, path };
}

function refuse(why: string): ReadPath {
  return { ok: false, why };
}

/** What stands between the slashes; the last is empty when the path ends with one. */
function segmentsOf(path: string): string[] {
  return path.slice(1).split('/');
}

/** A pattern, segment by segment: `**`, or the texts between the wildcards of one segment. */
export type PathPattern = readonly ('**' | readonly string[])[];

/**
 * The syntax of path patterns, which is all there is of it:
 *
 * - a pattern begins with `/` and is compared with the whole path, letter case included, query left out
 * - `*` is any run of characters within a segment; a segment that is only `*` is not empty
 * - a segment `**` is any number of segments, also none: `/v1/**` is `/v1`, `/v1/` and all below
 *
 * @returns null when it is not a pattern; such a rule allows nothing
 */
export function parsePathPattern(text: string): PathPattern | null {
  const read = readPath(text);
  if (!read.ok) return null;
  const segments = segmentsOf(read.path);
  if (segments.some((segment) => segment.includes('**') && segment !== '**')) return null;
  return segments.map((segment) => (segment === '**' ? '**' : segment.split('*')));
}

/**
 * Only the last `**` is ever tried again with one segment more, so that no path makes this slow.
 *
 * @param path as `readPath` gave it
 */
export function matchesPath(pattern: PathPattern, path: string): boolean {
  const segments = segmentsOf(path);
  let at = 0;
  let retry: { at: number; taken: number } | null = null;
  for (let taken = 0; taken < segments.length; ) {
    const part = pattern[at];
    if (part === '**') {
      at += 1;
      retry = { at, taken };
    } else if (part !== undefined && matchesSegment(part, segments[taken]!)) {
      at += 1;
      taken += 1;
    } else if (retry) {
      retry = { at: retry.at, taken: retry.taken + 1 };
      ({ at, taken } = retry);
    } else return false;
  }
  return pattern.slice(at).every((part) => part === '**');
}

/** In one pass over the segment, whatever the pattern: no expression that a long path could make slow. */
function matchesSegment(parts: readonly string[], segment: string): boolean {
  const [head = '', ...rest] = parts;
  const tail = rest.pop();
  if (tail === undefined) return segment === head;
  if (segment === '' || segment.length < head.length + tail.length) return false;
  if (!segment.startsWith(head) || !segment.endsWith(tail)) return false;
  let at = head.length;
  const end = segment.length - tail.length;
  for (const part of rest) {
    const found = segment.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
