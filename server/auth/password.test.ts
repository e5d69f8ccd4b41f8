import { describe, expect, it } from 'vitest';
import { hashPassword, verifyPassword } from './password.ts';

// Weak on purpose: the format and the comparison are under test, not the cost.
const QUICK = { N: 16, r: 1, p: 1 };

describe('passwords', () => {
  it('verify against their own hash only', async () => {
    const stored = await hashPassword('correct horse', QUICK);
    expect(await verifyPassword('correct horse', stored)).toBe(true);
    expect(await verifyPassword('Correct horse', stored)).toBe(false);
    expect(await verifyPassword('', stored)).toBe(false);
  });

  it('have another hash each time, which carries its parameters and not the password', async () => {
    const [one, two] = [await hashPassword('correct horse', QUICK), await hashPassword('correct horse', QUICK)];
    expect(one).toMatch(/^scrypt\$16\$1\$1\$[\w-]+\$[\w-]+$/);
    expect(one).not.toBe(two);
  });

  it('are the same however the keyboard composes an umlaut', async () => {
    const stored = await hashPassword('gru\u0308n', QUICK);
    expect(await verifyPassword('gr\u00fcn', stored)).toBe(true);
  });

  it('of nobody are never right', async () => {
    expect(await verifyPassword('anything', null)).toBe(false);
  });

  it('in a format that is not ours are an error, not a no', async () => {
    await expect(verifyPassword('x', '$2b$10$abc')).rejects.toThrow('unknown format');
  });
});
