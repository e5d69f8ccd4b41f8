import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { ERROR_RULES } from './errors.ts';

describe('error codes', () => {
  it('are those of docs/errors.md, with the same status', async () => {
    const text = await readFile('docs/errors.md', 'utf8');
    const documented = [...text.matchAll(/^\| `(\w+)` \| (\d+) \| (yes|no) \|/gm)].map(([, code, http, retryable]) => [
      code,
      { http: Number(http), retryable: retryable === 'yes' },
    ]);
    const ours = Object.entries(ERROR_RULES).map(([code, { http, retryable }]) => [code, { http, retryable }]);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(ours));
  });
});
