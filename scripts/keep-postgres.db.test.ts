import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../server/testing/free-ports.ts';
import { keepPostgres } from './keep-postgres.ts';
import { homeOf, postmasterPid } from './postgres.ts';

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  await client.connect();
  return client.query(sql).then(
    ({ rows }) => client.end().then(() => rows),
    (error) => client.end().then(() => Promise.reject(error)),
  );
}

it('starts PostgreSQL again when it is killed, with what was committed', async () => {
  // Where the system user `postgres` may go too.
  const dir = await mkdtemp(path.join(tmpdir(), 'warren-keep-pg-'));
  await chmod(dir, 0o755);
  const dataDir = path.join(dir, 'postgres');
  const postgres = await keepPostgres({ dataDir, port: await freePort(), password: 'test' });
  onTestFinished(async () => {
    await postgres.stop();
    // Root's data is elsewhere when the checkout is where the user `postgres` may not go.
    const home = await homeOf(dataDir);
    if (home !== dataDir) await rm(path.dirname(home), { recursive: true });
    await rm(dir, { recursive: true, force: true });
  });
  await ask(postgres.superuserUrl, 'create table kept as select 42 as answer');

  const back = new Promise<void>((resolve) => {
    postgres.onTrouble((what) => {
      if (what.includes('runs again')) resolve();
    });
  });
  process.kill(await postmasterPid(dataDir), 'SIGKILL');
  await back;
  expect(await ask(postgres.superuserUrl, 'select answer from kept')).toEqual([{ answer: 42 }]);
}, 60_000);
