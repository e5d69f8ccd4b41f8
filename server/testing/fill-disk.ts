import pg from 'pg';
import type { TestDatabase } from './database.ts';

/** From now on PostgreSQL refuses new rows in one table with its own error for a full disk, until the returned function is called. */
export async function fillDisk({ urls }: TestDatabase, table: 'AuditEntry' | 'UsageEntry'): Promise<() => Promise<void>> {
  const owner = new pg.Client(urls.ownerUrl);
  await owner.connect();
  await owner.query(`
    create function no_space() returns trigger language plpgsql as $$
    begin
      raise exception using errcode = '53100', message = 'could not extend file: No space left on device';
    end $$;
    create trigger no_space before insert on "${table}" for each row execute function no_space()`);
  return async () => {
    await owner.query('drop function no_space cascade');
    await owner.end();
  };
}
