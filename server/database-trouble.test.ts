import { describe, expect, it } from 'vitest';
import { databaseTrouble, isTransactionTimeout } from './database-trouble.ts';
import { createDb, withOrg } from './db.ts';

/** Port 1 is reserved: nothing listens there. */
const NOWHERE = 'postgresql://nobody:nothing@127.0.0.1:1/none';

describe('trouble with the database', () => {
  it('is told from a fault of ours when the server is away', async () => {
    const db = createDb(NOWHERE);
    const reading = await db.people.user.findFirst().catch((error: unknown) => error);
    const working = await withOrg(db, 'org_x', async () => {}).catch((error: unknown) => error);
    await db.close();
    expect(databaseTrouble(reading)).toMatchObject({ code: 'unavailable' });
    expect(databaseTrouble(working)).toMatchObject({ code: 'unavailable' });
  });

  it('names a full disk', () => {
    const full = { code: 'P2010', meta: { driverAdapterError: { cause: { originalCode: '53100', kind: 'postgres' } } } };
    expect(databaseTrouble(full)?.publicMessage).toContain('disk is full');
  });

  it('is not what a broken constraint or any other error is', () => {
    expect(databaseTrouble({ code: 'P2002' })).toBeNull();
    expect(databaseTrouble(new Error('no'))).toBeNull();
    expect(databaseTrouble(null)).toBeNull();
  });

  it('may be a transaction that found no end in its time, which is told apart', () => {
    expect(databaseTrouble({ code: 'P2028' })).toMatchObject({ code: 'unavailable' });
    expect(isTransactionTimeout({ cause: { code: 'P2028' } })).toBe(true);
    expect(isTransactionTimeout({ code: 'P1001' })).toBe(false);
  });
});
