import type { Trouble } from '../../server/realtime/contract.ts';

/** By session: what its worker waits for, when it said so, and until when that is believed. Times in ms since the epoch. */
export type Troubles = Readonly<Record<string, { what: Trouble['what']; told: number; until: number }>>;

export const NO_TROUBLES: Troubles = {};

/** A worker tells it again at least every 15 s for as long as it waits. */
export const TROUBLE_MS = 45_000;
/** On a disk that is nearly full small rows fit between those that do not: then this is longer than from one try to the next. */
export const SETTLE_MS = 5_000;

export function withTrouble(troubles: Troubles, { sessionId, what }: Trouble, now: number): Troubles {
  return { ...troubles, [sessionId]: { what, told: now, until: now + TROUBLE_MS } };
}

/** Something of the session was stored: what it waited for is over, unless it says so again. */
export function afterNews(troubles: Troubles, sessionId: string): Troubles {
  const trouble = troubles[sessionId];
  return trouble ? { ...troubles, [sessionId]: { ...trouble, until: trouble.told + SETTLE_MS } } : troubles;
}

/** Those still believed; the same object when all are. */
export function stillBelieved(troubles: Troubles, now: number): Troubles {
  const all = Object.entries(troubles);
  const believed = all.filter(([, { until }]) => until > now);
  return believed.length === all.length ? troubles : Object.fromEntries(believed);
}

/** When the next one ends; null when there is none. */
export function nextEnd(troubles: Troubles): number | null {
  const ends = Object.values(troubles).map(({ until }) => until);
  return ends.length === 0 ? null : Math.min(...ends);
}

/** What all pages say. A full disk is what somebody has to do something about. */
export function worstOf(troubles: Troubles): Trouble['what'] | null {
  const whats = Object.values(troubles).map(({ what }) => what);
  return whats.find((what) => what === 'database_full') ?? whats[0] ?? null;
}
