const tails = new Map<string, Promise<unknown>>();

/** Runs callbacks for one key one after the other, in this process. Between processes git's and PostgreSQL's own locks hold. */
export async function withLock<T>(key: string, fn: () => Promise<T>): Promise<T> {
  const before = tails.get(key);
  const result = (before ?? Promise.resolve()).then(fn, fn);
  const tail = result.catch(() => {});
  tails.set(key, tail);
  try {
    return await result;
  } finally {
    if (tails.get(key) === tail) tails.delete(key);
  }
}
