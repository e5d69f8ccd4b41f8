import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { bootstrapDatabase } from '../../prisma/bootstrap.ts';
import { startPostgres } from '../../scripts/postgres.ts';
import { freePort } from './free-ports.ts';
import { TEMPLATE_DATABASE, TEST_PASSWORDS } from './template.ts';

/**
 * Starts one PostgreSQL for the whole run (or takes the one TEST_DATABASE_URL names, as its superuser) and migrates a
 * template database in it. Each test file clones that, see database.ts.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.TEST_DATABASE_URL;
  const server = given ? { superuserUrl: given, stop: async () => {} } : await startOwn();

  const client = new pg.Client({ connectionString: server.superuserUrl });
  await client.connect();
  await client.query(`DROP DATABASE IF EXISTS ${TEMPLATE_DATABASE} WITH (FORCE)`);
  await client.end();
  await bootstrapDatabase(server.superuserUrl, { databaseName: TEMPLATE_DATABASE, passwords: TEST_PASSWORDS });

  project.provide('superuserUrl', server.superuserUrl);
  return server.stop;
}

async function startOwn(): Promise<{ superuserUrl: string; stop: () => Promise<void> }> {
  const home = await mkdtemp(path.join(tmpdir(), 'warren-test-pg-'));
  // PostgreSQL runs as another user when we are root, and must be able to get in.
  await chmod(home, 0o755);
  const server = await startPostgres({ dataDir: path.join(home, 'data'), port: await freePort(), password: 'test' });
  return {
    superuserUrl: server.superuserUrl,
    stop: async () => {
      await server.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}
