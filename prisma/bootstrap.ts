import pg from 'pg';
import { prepareQueues } from '../server/jobs/queue.ts';
import { type DatabasePasswords, type DatabaseUrls, databaseUrls, ROLES, urlFor } from './database-urls.ts';
import { migrate } from './migrate.ts';

/*
 * Makes the database Warren runs on: roles, database, migrations, queues. The supervisor runs it at every start and the
 * tests run it for their template, so both have the same rights. Safe to repeat.
 */
/**
 * @param superuserUrl connection string of a role that may create roles and databases
 * @returns connection strings of the three roles: for migrations, for web and worker, and for cross-organization sweeps
 */
export async function bootstrapDatabase(
  superuserUrl: string,
  { databaseName, passwords }: { databaseName: string; passwords: DatabasePasswords },
): Promise<DatabaseUrls> {
  await withClient(superuserUrl, async (client) => {
    for (const key of ['owner', 'app', 'system'] as const) await ensureRole(client, ROLES[key], passwords[key]);
    const found = await client.query('select 1 from pg_database where datname = $1', [databaseName]);
    if (found.rowCount === 0) {
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(databaseName)} OWNER ${ROLES.owner}`);
    }
    await client.query(`REVOKE ALL ON DATABASE ${client.escapeIdentifier(databaseName)} FROM PUBLIC`);
    await client.query(`GRANT CONNECT ON DATABASE ${client.escapeIdentifier(databaseName)} TO ${ROLES.app}, ${ROLES.system}`);
  });
  await withClient(urlFor(superuserUrl, { databaseName }), (client) =>
    client.query(`CREATE SCHEMA IF NOT EXISTS pgboss AUTHORIZATION ${ROLES.system}`),
  );
  const urls = databaseUrls(superuserUrl, { databaseName, passwords });
  await migrate(urls.ownerUrl);
  await prepareQueues(urls.systemUrl);
  return urls;
}

async function ensureRole(client: pg.Client, role: string, password: string): Promise<void> {
  const found = await client.query('select 1 from pg_roles where rolname = $1', [role]);
  const rights = 'LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOINHERIT';
  const verb = found.rowCount === 0 ? 'CREATE' : 'ALTER';
  await client.query(`${verb} ROLE ${role} WITH ${rights} PASSWORD ${client.escapeLiteral(password)}`);
}

async function withClient<T>(connectionString: string, fn: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await fn(client);
  } finally {
    await client.end();
  }
}
