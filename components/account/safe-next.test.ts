import { describe, expect, it } from 'vitest';
import { safeNext } from './safe-next.ts';

describe('safeNext', () => {
  it.each(['https://evil.example', '//evil.example', '/\\evil.example', 'javascript:alert(1)', '', undefined])(
    'does not lead to %s',
    (next) => {
      expect(safeNext(next)).toBe('/');
    },
  );

  it('leads to a page of ours', () => {
    expect(safeNext('/acme/sessions?x=1')).toBe('/acme/sessions?x=1');
  });
});
