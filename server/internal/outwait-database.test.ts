import { expect, it, vi } from 'vitest';
import { outwaitDatabase } from './outwait-database.ts';

const away = Object.assign(new Error('away'), { code: 'P1001' });
const soon = { waitMsMax: 60_000, pauseMs: 1 };
const wanted = () => true;

it('asks until the database is back', async () => {
  const ask = vi.fn().mockRejectedValueOnce(away).mockRejectedValueOnce(away).mockResolvedValue('answer');
  expect(await outwaitDatabase(ask, wanted, soon)).toBe('answer');
  expect(ask).toHaveBeenCalledTimes(3);
});

it('does not ask again for what is not the database’s fault, for nobody, or for ever', async () => {
  const wrong = vi.fn().mockRejectedValue(new Error('wrong'));
  await expect(outwaitDatabase(wrong, wanted, soon)).rejects.toThrow('wrong');
  const alone = vi.fn().mockRejectedValue(away);
  await expect(outwaitDatabase(alone, () => false, soon)).rejects.toThrow('away');
  const late = vi.fn().mockRejectedValue(away);
  await expect(outwaitDatabase(late, wanted, { waitMsMax: -1, pauseMs: 1 })).rejects.toThrow('away');
  for (const ask of [wrong, alone, late]) expect(ask).toHaveBeenCalledTimes(1);
});
