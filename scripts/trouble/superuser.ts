import pg from 'pg';
import { urlFor } from '../../prisma/database-urls.ts';
import type { Settings } from '../settings.ts';

/** A connection to the installation's database with every right: for harm that no role of Warren's could do. */
export async function asSuperuser({ postgresPort, secrets }: Settings): Promise<pg.Client> {
  const parts = { databaseName: 'warren', user: 'postgres', password: secrets.postgres };
  const client = new pg.Client(urlFor(`postgresql://127.0.0.1:${postgresPort}/postgres`, parts));
  // The server may end in the middle of it, on purpose.
  client.on('error', () => {});
  await client.connect();
  return client;
}
