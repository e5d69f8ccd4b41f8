import { describe, expect, it } from 'vitest';
import { eachOf } from './each-of.ts';

describe('eachOf', () => {
  it('sees to all of them, and then tells what failed, also within one', async () => {
    const seen: number[] = [];
    const inner = (items: number[]) =>
      eachOf(items, async (item) => {
        seen.push(item);
        if (item % 2 === 0) throw new Error(`no ${item}`);
      });
    const failed = await eachOf([[1, 2, 3], [4], [5]], inner).catch((error: unknown) => error);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(failed).toMatchObject({
      errors: [new Error('no 2'), new Error('no 4')],
      message: '2 failed; the others were seen to',
    });
  });
});
