/** Like Promise.all, but nothing is still going on when it rejects: what follows may undo all of it. Rejects with the first error. */
export async function waitForAll<T extends readonly unknown[]>(
  promises: readonly [...{ [K in keyof T]: Promise<T[K]> }],
): Promise<T> {
  await Promise.allSettled(promises);
  return (await Promise.all(promises)) as unknown as T;
}
