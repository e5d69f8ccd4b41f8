import { describe, expect, it } from 'vitest';
import { SessionSignals } from './session-signals.ts';

const HOUR_MS = 3_600_000;
const never = new AbortController().signal;

describe('SessionSignals', () => {
  it('keeps a signal that comes between two waits', async () => {
    const signals = new SessionSignals();
    const subscription = signals.subscribe('a');
    signals.notify('a');
    expect(await subscription.next(HOUR_MS, never)).toBe(true);
    expect(await subscription.next(1, never)).toBe(false);
  });

  it('wakes whoever waits for that session, and nobody else', async () => {
    const signals = new SessionSignals();
    const [a, b] = [signals.subscribe('a'), signals.subscribe('b')];
    const waiting = a.next(HOUR_MS, never);
    signals.notify('a');
    expect(await waiting).toBe(true);
    expect(await b.next(1, never)).toBe(false);
  });

  it('wakes everybody when signals may have been missed', async () => {
    const signals = new SessionSignals();
    const waiting = [signals.subscribe('a').next(HOUR_MS, never), signals.subscribe('b').next(HOUR_MS, never)];
    signals.notifyAll();
    expect(await Promise.all(waiting)).toEqual([true, true]);
  });

  it('ends a wait when aborted', async () => {
    const stop = new AbortController();
    const waiting = new SessionSignals().subscribe('a').next(HOUR_MS, stop.signal);
    stop.abort();
    expect(await waiting).toBe(false);
  });
});
