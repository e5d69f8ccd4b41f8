'use client';
import { useEffect, useState } from 'react';

const ASK_MS = 3_000;

/** What the web process says of its database: asked once, and again until it is back when it was away. */
export function useDatabaseAway(): 'unknown' | 'away' | 'back' {
  const [state, setState] = useState<'unknown' | 'away' | 'back'>('unknown');
  useEffect(() => {
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let wasAway = false;
    async function ask() {
      const status = await fetch('/healthz', { signal: leaving.signal, cache: 'no-store' }).then(
        (reply) => reply.status,
        () => null,
      );
      if (leaving.signal.aborted) return;
      if (status === 503) {
        wasAway = true;
        setState('away');
      } else if (status === 200 && wasAway) return setState('back');
      if (wasAway) timer = setTimeout(ask, ASK_MS);
    }
    void ask();
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, []);
  return state;
}
