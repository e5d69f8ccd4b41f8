import { describe, expect, it } from 'vitest';
import { slugCandidate, slugify } from './create-organization.ts';

describe('slugify', () => {
  it.each([
    ['Acme', 'acme'],
    ['Acme & Söhne GmbH', 'acme-sohne-gmbh'],
    ['--x--', 'x'],
    ['日本', 'org'],
    ['API', 'api-org'],
    ['Sign in', 'sign-in-org'],
    ['a'.repeat(60), 'a'.repeat(40)],
    [`${'a'.repeat(39)} b`, 'a'.repeat(39)],
  ])('%s -> %s', (name, slug) => {
    expect(slugify(name)).toBe(slug);
  });

  it('numbers what is taken', () => {
    expect([0, 1, 2].map((attempt) => slugCandidate('Acme', attempt))).toEqual(['acme', 'acme-2', 'acme-3']);
  });
});
