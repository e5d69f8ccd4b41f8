'use client';
import { useSyncExternalStore } from 'react';
import { formatAgo } from './format.ts';

// One timer for every relative time on the page.
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | null = null;
let tick = 0;

function subscribe(listener: () => void) {
  listeners.add(listener);
  timer ??= setInterval(() => {
    tick += 1;
    for (const each of listeners) each();
  }, 10_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0 || !timer) return;
    clearInterval(timer);
    timer = null;
  };
}

/** `4 min ago`, kept current; the exact time is its hint. */
export function Ago({ at, className }: { at: Date | string; className?: string }) {
  useSyncExternalStore(
    subscribe,
    () => tick,
    () => 0,
  );
  const date = new Date(at);
  return (
    <time dateTime={date.toISOString()} title={date.toLocaleString()} className={className} suppressHydrationWarning>
      {formatAgo(date, new Date())}
    </time>
  );
}

/** Time of day, as in a log. */
export function ClockTime({ at, className }: { at: Date | string; className?: string }) {
  const date = new Date(at);
  return (
    <time dateTime={date.toISOString()} title={date.toLocaleString()} className={className} suppressHydrationWarning>
      {date.toLocaleTimeString('en-GB')}
    </time>
  );
}
