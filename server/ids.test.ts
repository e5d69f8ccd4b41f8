import { describe, expect, it } from 'vitest';
import { idSchema } from '../hostd/contract/machines.ts';
import { type IdKind, newId } from './ids.ts';

const KINDS: IdKind[] = ['org', 'user', 'session', 'machine', 'snapshot', 'repoEvent', 'host'];

describe('newId', () => {
  it.each(KINDS)('of a %s is one that hostd accepts', (kind) => {
    expect(idSchema.parse(newId(kind))).toMatch(/^[a-z]{3}_[0-9a-hjkmnp-tv-z]{20}$/);
  });

  it('is never the same twice', () => {
    const ids = Array.from({ length: 10_000 }, () => newId('session'));
    expect(new Set(ids).size).toBe(ids.length);
  });
});
