/**
 * Does something for each, whatever becomes of the others: one that fails must not keep those behind it waiting, this time and
 * every time after. Rejects when all have had their turn, with what failed.
 */
export async function eachOf<T>(items: Iterable<T>, run: (item: T) => Promise<void>): Promise<void> {
  const errors: unknown[] = [];
  for (const item of items) {
    try {
      await run(item);
    } catch (error) {
      // What failed within it is told as it is.
      errors.push(...(error instanceof AggregateError ? error.errors : [error]));
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} failed; the others were seen to`);
}
