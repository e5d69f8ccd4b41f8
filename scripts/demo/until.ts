const POLL_MS = 1000;
const DEADLINE_MS = 10 * 60_000;

export type Patience = {
  everyMs?: number;
  deadlineMs?: number;
  /** A look that fails is only a look that found nothing: parts are down on purpose. */
  forgiving?: boolean;
};

/** Asks until `look` finds something. @throws what `look` throws unless forgiving, or when the deadline is over */
export async function until<T>(
  what: string,
  look: () => Promise<T | null | undefined | false>,
  { everyMs = POLL_MS, deadlineMs = DEADLINE_MS, forgiving = false }: Patience = {},
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (let trouble = ''; ; ) {
    try {
      const found = await look();
      if (found) return found;
    } catch (cause) {
      if (!forgiving) throw cause;
      trouble = `; last trouble: ${cause instanceof Error ? cause.message : cause}`;
    }
    if (performance.now() > deadline)
      throw new Error(`Gave up after ${deadlineMs / 60_000} minutes waiting for: ${what}${trouble}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
