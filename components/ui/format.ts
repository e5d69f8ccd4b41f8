const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `just now`, `4 min ago`, `3 h ago`, `2 d ago`, then the date. */
export function formatAgo(at: Date, now: Date): string {
  const ms = now.getTime() - at.getTime();
  if (ms < 45 * SECOND_MS) return 'just now';
  if (ms < HOUR_MS) return `${Math.max(1, Math.round(ms / MINUTE_MS))} min ago`;
  if (ms < DAY_MS) return `${Math.round(ms / HOUR_MS)} h ago`;
  if (ms < 14 * DAY_MS) return `${Math.round(ms / DAY_MS)} d ago`;
  return at.toISOString().slice(0, 10);
}

/** `840 ms`, `3.2 s`, `2 min 5 s`, `1 h 4 min`, `1 h`. */
export function formatDuration(ms: number): string {
  if (ms < SECOND_MS) return `${Math.round(ms)} ms`;
  if (ms < MINUTE_MS) return `${Number((ms / SECOND_MS).toFixed(1))} s`;
  const seconds = Math.round(ms / SECOND_MS);
  if (ms < HOUR_MS) return inTwo(seconds, 'min', 's');
  return inTwo(Math.round(ms / MINUTE_MS), 'h', 'min');
}

/** The second is a sixtieth of the first, and left out when there is none of it. */
function inTwo(count: number, large: string, small: string): string {
  const rest = count % 60;
  return `${Math.floor(count / 60)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`;
}

/** `512 B`, `3.4 kB`, `271 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** @param count null when nobody knows */
export function plural(count: number | null, one: string, many = `${one}s`): string {
  if (count === null) return `an unknown number of ${many}`;
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

export function shortSha(sha: string): string {
  return sha.slice(0, 7);
}
