import { describe, expect, it } from 'vitest';
import { checkAndDraw, Mismatch, proofOf, proveAwake, proveBooted, renewSecret } from './verifier.ts';

const SECRET = '5e'.repeat(32);
const OTHER = '0f'.repeat(32);
const saying = (answer: (words: string[]) => string) => async (argv: string[]) => `${answer(argv.slice(1))}\n`;

describe('the proof of a guest', () => {
  it('is accepted from the guest that has the secret', async () => {
    await proveAwake(
      saying(([, nonce]) => proofOf(SECRET, nonce!)),
      SECRET,
    );
  });

  it('is not accepted from another guest, from before, or made up', async () => {
    let recorded = '';
    const honest = saying(([, nonce]) => {
      recorded = proofOf(SECRET, nonce!);
      return recorded;
    });
    await proveAwake(honest, SECRET);
    for (const answer of [
      ([, nonce]: string[]) => proofOf(OTHER, nonce!),
      () => recorded,
      () => '',
      () => 'ok',
      () => `${recorded}0`,
    ]) {
      await expect(proveAwake(saying(answer), SECRET)).rejects.toThrow(Mismatch);
    }
  });

  it('of a guest that has just booted comes with the secret it is made with', async () => {
    await proveBooted(saying(([, nonce]) => `${SECRET} ${proofOf(SECRET, nonce!)}`));
    await expect(proveBooted(saying(([, nonce]) => `${OTHER} ${proofOf(SECRET, nonce!)}`))).rejects.toThrow(Mismatch);
  });

  it('starts from a secret of the right shape', async () => {
    expect(await renewSecret(saying(() => SECRET))).toBe(SECRET);
    await expect(renewSecret(saying(() => 'secret'))).rejects.toThrow(Mismatch);
  });
});

describe('the check of memory', () => {
  it('gives the value that was drawn with it', async () =>
    expect(await checkAndDraw(saying(() => `4096 0\n${SECRET}`))).toBe(SECRET));
  it('fails for one page', async () =>
    expect(checkAndDraw(saying(() => `4096 1\n${SECRET}`))).rejects.toThrow('1 of 4096 pages are not what they were'));
  it('fails without a value', async () => expect(checkAndDraw(saying(() => '4096 0\n'))).rejects.toThrow(Mismatch));
});
