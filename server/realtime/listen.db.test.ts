import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { withOrg } from '../db.ts';
import { createLogger } from '../logger.ts';
import { openTestDatabase } from '../testing/database.ts';
import type { Notice } from './contract.ts';
import { listenForNotices } from './listen.ts';
import { publishNotice } from './publish.ts';

const { db, urls } = openTestDatabase();
const logger = createLogger({ service: 'test', level: 'silent' });

describe('listenForNotices', () => {
  it('connects again when its connection dies, tells of the gap, and goes on', async () => {
    const [listening, gap, arrived] = [
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
      Promise.withResolvers<Notice>(),
    ];
    const listener = listenForNotices({
      databaseUrl: urls.appUrl,
      logger,
      onNotice: arrived.resolve,
      onGap: gap.resolve,
      onListening: listening.resolve,
    });
    await listening.promise;

    const client = new pg.Client({ connectionString: urls.appUrl });
    await client.connect();
    const killed = await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen %' and datname = current_database()`,
    );
    expect(killed.rowCount).toBe(1);
    await gap.promise;
    // What another version sends is passed over.
    await client.query(`select pg_notify('warren_notice', 'not a notice')`);
    await client.end();

    const notice: Notice = { kind: 'repository', orgId: 'org_1', repositoryId: 'rep_1' };
    await withOrg(db, notice.orgId, async (tx) => publishNotice(tx, notice));
    expect(await arrived.promise).toEqual(notice);
    await listener.close();
  });
});
