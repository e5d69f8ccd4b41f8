import pg from 'pg';
import type { TestDatabase } from './database.ts';

/**
 * From now on PostgreSQL refuses writes to one table with its own error for a full disk. A sequence counts them: it is not rolled back.
 *
 * @param rows which of them, in SQL about `new`
 */
export async function fillDisk(
  { urls }: Pick<TestDatabase, 'urls'>,
  table: 'AgentFrame' | 'AuditEntry' | 'UsageEntry',
  rows = 'true',
) {
  const owner = new pg.Client(urls.ownerUrl);
  await owner.connect();
  await owner.query(`
    create sequence refusals;
    create function no_space() returns trigger language plpgsql security definer as $$
    begin
      perform nextval('refusals');
      raise exception using errcode = '53100', message = 'could not extend file: No space left on device';
    end $$;
    create trigger no_space before insert or update on "${table}" for each row when (${rows}) execute function no_space()`);
  return {
    refusals: async () => Number((await owner.query('select last_value from refusals')).rows[0].last_value),
    giveBack: async () => {
      await owner.query('drop function no_space cascade; drop sequence refusals');
      await owner.end();
    },
  };
}
