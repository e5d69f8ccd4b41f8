/**
 * A JSON value PostgreSQL's jsonb accepts: it refuses NUL characters and unpaired surrogates, which JSON itself allows
 * and which one hostile or merely odd tool output would otherwise turn into a frame that can never be stored.
 * @throws RangeError on nesting deeper than DEPTH_MAX, which the database's own stack would not stand either
 */
export function toStorable(value: unknown, depth = 0): unknown {
  if (depth > DEPTH_MAX) throw new RangeError(`nested deeper than ${DEPTH_MAX}`);
  if (typeof value === 'string') return toStorableText(value);
  if (Array.isArray(value)) return value.map((inner) => toStorable(inner, depth + 1));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [toStorableText(key), toStorable(inner, depth + 1)]));
  }
  return value;
}

const DEPTH_MAX = 200;

export function toStorableText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}
