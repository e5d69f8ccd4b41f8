/**
 * A JSON value PostgreSQL's jsonb accepts: it refuses NUL characters and unpaired surrogates, which JSON itself allows
 * and which one hostile or merely odd tool output would otherwise turn into a frame that can never be stored.
 * Throws RangeError on nesting deeper than the stack.
 */
export function toStorable(value: unknown): unknown {
  if (typeof value === 'string') return toStorableText(value);
  if (Array.isArray(value)) return value.map(toStorable);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [toStorableText(key), toStorable(inner)]));
  }
  return value;
}

export function toStorableText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}
