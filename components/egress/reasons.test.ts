import { expect, it } from 'vitest';
import { describeReason } from './reasons.ts';

it('says why a handshake failed, and shows a word it does not know as it is', () => {
  expect(describeReason('tls')).toBe('no TLS could be agreed on');
  expect(describeReason('toString')).toBe('toString');
});
