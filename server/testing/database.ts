import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, inject } from 'vitest';
import { type DatabaseUrls, databaseUrls } from '../../prisma/database-urls.ts';
import { createDb, createSystemDb, type Db, type SystemDb } from '../db.ts';
import { TEMPLATE_DATABASE, TEST_PASSWORDS } from './template.ts';

declare module 'vitest' {
  interface ProvidedContext {
    superuserUrl: string;
  }
}

export type TestDatabase = { db: Db; systemDb: SystemDb; urls: DatabaseUrls };

async function asSuperuser(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: inject('superuserUrl') });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/**
 * A database of this test file's own, cloned from the migrated template and dropped at its end. Tests run with the same
 * roles as production: never as the superuser, never as the owner.
 */
export function openTestDatabase(): TestDatabase {
  const name = `warren_test_${randomUUID().replaceAll('-', '')}`;
  const urls = databaseUrls(inject('superuserUrl'), { databaseName: name, passwords: TEST_PASSWORDS });
  // Both connect on first use.
  const test = { db: createDb(urls.appUrl), systemDb: createSystemDb(urls.systemUrl), urls };

  beforeAll(() => asSuperuser(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE_DATABASE} OWNER warren_owner`));
  afterAll(async () => {
    await Promise.all([test.db.close(), test.systemDb.$disconnect()]);
    await asSuperuser(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  });
  return test;
}
