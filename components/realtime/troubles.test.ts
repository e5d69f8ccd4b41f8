import { expect, it } from 'vitest';
import type { Trouble } from '../../server/realtime/contract.ts';
import { afterNews, NO_TROUBLES, nextEnd, SETTLE_MS, stillBelieved, TROUBLE_MS, withTrouble, worstOf } from './troubles.ts';

const trouble = (sessionId: string, what: Trouble['what'] = 'database_full'): Trouble => ({ orgId: 'org_1', sessionId, what });
const NOW = 1_000_000;

it('a trouble is believed until it is not told again', () => {
  const first = withTrouble(NO_TROUBLES, trouble('ses_1'), NOW);
  expect(stillBelieved(first, NOW + TROUBLE_MS - 1)).toBe(first);
  expect(stillBelieved(first, NOW + TROUBLE_MS)).toEqual({});
  const again = withTrouble(first, trouble('ses_1'), NOW + 15_000);
  expect(stillBelieved(again, NOW + TROUBLE_MS)).toBe(again);
  expect(nextEnd(again)).toBe(NOW + 15_000 + TROUBLE_MS);
});

it('what was stored for a session ends its own trouble and no other, unless it is told again at once', () => {
  const both = withTrouble(withTrouble(NO_TROUBLES, trouble('ses_1'), NOW), trouble('ses_2', 'database_away'), NOW);
  const after = afterNews(both, 'ses_1');
  expect(Object.keys(stillBelieved(after, NOW + SETTLE_MS))).toEqual(['ses_2']);
  expect(stillBelieved(after, NOW + SETTLE_MS - 1)).toBe(after);
  const again = afterNews(withTrouble(after, trouble('ses_1'), NOW + 1_000), 'ses_1');
  expect(stillBelieved(again, NOW + SETTLE_MS)).toBe(again);
  expect(afterNews(both, 'ses_3')).toBe(both);
});

it('a full disk goes before a database that is away, and nothing is said of none', () => {
  const both = withTrouble(withTrouble(NO_TROUBLES, trouble('ses_1', 'database_away'), NOW), trouble('ses_2'), NOW);
  expect(worstOf(both)).toBe('database_full');
  expect(worstOf(stillBelieved(afterNews(both, 'ses_2'), NOW + SETTLE_MS))).toBe('database_away');
  expect([worstOf(NO_TROUBLES), nextEnd(NO_TROUBLES)]).toEqual([null, null]);
});
