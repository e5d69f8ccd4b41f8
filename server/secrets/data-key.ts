import { Prisma } from '../../prisma/generated/client.ts';
import type { Tx } from '../db.ts';
import { newDataKey, unwrapDataKey, type WrappedKey, wrapDataKey } from './envelope.ts';
import type { Keyring } from './keyring.ts';

/** The organization's data key, made at first use. Of two that make it at once the first to commit wins. */
export async function ensureDataKey(tx: Tx, keyring: Keyring, orgId: string): Promise<Buffer> {
  const found = await tx.dataKey.findUnique({ where: { orgId } });
  if (found) return unwrapDataKey(keyring, orgId, found);
  const made = toRow(wrapDataKey(keyring, orgId, newDataKey()));
  await tx.dataKey.createMany({ data: [{ orgId, ...made }], skipDuplicates: true });
  return unwrapDataKey(keyring, orgId, await tx.dataKey.findUniqueOrThrow({ where: { orgId } }));
}

/** @returns false when it is wrapped with the current key already, or is not there */
export async function rewrapDataKey(tx: Tx, keyring: Keyring, orgId: string): Promise<boolean> {
  await tx.$queryRaw(Prisma.sql`select 1 from "DataKey" where "orgId" = ${orgId} for update`);
  const row = await tx.dataKey.findUnique({ where: { orgId } });
  if (!row || row.wrappedBy === keyring.current.id) return false;
  const dataKey = unwrapDataKey(keyring, orgId, row);
  await tx.dataKey.update({ where: { orgId }, data: toRow(wrapDataKey(keyring, orgId, dataKey)) });
  return true;
}

function toRow({ wrappedBy, wrapped }: WrappedKey) {
  return { wrappedBy, wrapped: new Uint8Array(wrapped) };
}
