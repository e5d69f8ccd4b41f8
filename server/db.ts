import { PrismaPg } from '@prisma/adapter-pg';
import { type Prisma, PrismaClient } from '../prisma/generated/client.ts';
import { NOTIFY_CHANNEL, type Notice } from './realtime/contract.ts';

/*
 * The only doors to the database. `withOrg` sees one organization's rows and no others, by row-level security: a
 * forgotten filter returns nothing instead of another tenant's rows. The bare client never leaves this file.
 */

/** A transaction that sees one organization. Do no slow work (git, hostd, models) inside: it holds a connection and locks. */
export type Tx = Omit<Prisma.TransactionClient, 'account' | 'authSession' | 'accessToken' | 'verificationToken' | 'rateLimit'>;

/** Tables about people, which belong to no organization. */
export type People = Pick<PrismaClient, 'user' | 'account' | 'authSession' | 'accessToken' | 'verificationToken' | 'rateLimit'>;

/** Reads across organizations, for sweeps. Tenant rows are read-only here; find ids, then act inside `withOrg`. */
export type SystemDb = PrismaClient;

type Client = PrismaClient;
type Connected = { client: Client; onNoticeLost: (error: unknown) => void };
const clients = new WeakMap<Db, Connected>();
const pendingNotices = new WeakMap<Tx, Notice[]>();

const TRANSACTION_WAIT_MS_MAX = 10_000;
const TRANSACTION_MS_MAX = 20_000;

export type Db = {
  readonly people: People;
  readonly close: () => Promise<void>;
};

function connect(connectionString: string, connectionsMax: number): Client {
  return new PrismaClient({
    adapter: new PrismaPg({ connectionString, max: connectionsMax }),
    transactionOptions: { maxWait: TRANSACTION_WAIT_MS_MAX, timeout: TRANSACTION_MS_MAX },
  });
}

export type DbOptions = {
  connectionsMax?: number;
  /** The work was committed, but pages will not hear of it until they read again. */
  onNoticeLost?: (error: unknown) => void;
};

/** @param url connection string of the role warren_app */
export function createDb(url: string, { connectionsMax = 20, onNoticeLost = () => {} }: DbOptions = {}): Db {
  const client = connect(url, connectionsMax);
  const db: Db = { people: client, close: () => client.$disconnect() };
  clients.set(db, { client, onNoticeLost });
  return db;
}

/** @param url connection string of the role warren_system */
export function createSystemDb(url: string, { connectionsMax = 4 }: { connectionsMax?: number } = {}): SystemDb {
  return connect(url, connectionsMax);
}

function connected(db: Db): Connected {
  const found = clients.get(db);
  if (!found) throw new Error('not a database made by createDb');
  return found;
}

/**
 * Runs `fn` in one transaction that sees exactly this organization. Notices given to `publishNotice` inside go out after
 * the commit; when it rolls back they are dropped.
 */
export async function withOrg<T>(db: Db, orgId: string, fn: (tx: Tx) => Promise<T>): Promise<T> {
  const { client, onNoticeLost } = connected(db);
  const notices: Notice[] = [];
  const result = await client.$transaction(async (tx) => {
    await tx.$executeRaw`select set_config('warren.org_id', ${orgId}, true)`;
    pendingNotices.set(tx, notices);
    return fn(tx);
  });
  // What was done is done: a caller that saw this fail would do it again.
  await sendNotices(client, notices).catch(onNoticeLost);
  return result;
}

/** One transaction that sees the memberships of one person and the organizations they are in; it can change neither. */
export async function withUser<T>(
  db: Db,
  userId: string,
  fn: (tx: Pick<Tx, 'member' | 'organization'>) => Promise<T>,
): Promise<T> {
  return connected(db).client.$transaction(async (tx) => {
    await tx.$executeRaw`select set_config('warren.user_id', ${userId}, true)`;
    return fn(tx);
  });
}

/** Used by server/realtime/publish.ts only. */
export function addPendingNotice(tx: Tx, notice: Notice): void {
  const notices = pendingNotices.get(tx);
  if (!notices) throw new Error('publishNotice needs the transaction that withOrg gave');
  notices.push(notice);
}

/** NOTIFY holds a lock over all commits, so it gets a transaction of its own that lasts no longer than itself. */
async function sendNotices(client: Client, notices: Notice[]): Promise<void> {
  if (notices.length === 0) return;
  // The last of each thing and kind of news: its revision stands for those before it.
  const lastOfEach = new Map(notices.map((notice) => [keyOf(notice), notice]));
  const payloads = [...lastOfEach.values()].map((notice) => JSON.stringify(notice));
  await client.$executeRaw`select pg_notify(${NOTIFY_CHANNEL}, payload) from unnest(${payloads}::text[]) as payload`;
}

function keyOf(notice: Notice): string {
  const hasRev = 'rev' in notice && notice.rev !== undefined;
  return JSON.stringify({ ...notice, rev: hasRev });
}

/** True when the database answers. */
export async function isReachable(db: Db): Promise<boolean> {
  return connected(db).client.$queryRaw`select 1`.then(
    () => true,
    () => false,
  );
}
