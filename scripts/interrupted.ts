/** Aborts at the first Ctrl-C, for commands that end what they started and report before they go. A second one ends the process as usual. */
export function untilInterrupted(): AbortSignal {
  const over = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => over.abort(new Error(`ended by ${signal}`)));
  return over.signal;
}
