import type { EgressEntry } from '../../prisma/generated/client.ts';
import type { Tx } from '../db.ts';
import { notFound } from '../errors.ts';

const PAGE_ROWS = 100;

export type EgressRow = Omit<EgressEntry, 'id' | 'orgId' | 'seq' | 'bytesUp' | 'bytesDown'> & {
  id: string;
  bytesUp: number;
  bytesDown: number;
};

export type EgressFilter = { sessionId?: string; decision?: 'allow' | 'deny'; host?: string; before?: string };

/** One page of what machines tried to reach, newest first. */
export async function listEgress(tx: Tx, { sessionId, decision, host, before }: EgressFilter) {
  if (sessionId && !(await tx.session.findUnique({ where: { id: sessionId }, select: { id: true } }))) throw notFound('session');
  const rows = await tx.egressEntry.findMany({
    where: {
      sessionId,
      decision,
      ...(host ? { host: { contains: host.toLowerCase() } } : {}),
      ...(before ? { id: { lt: BigInt(before) } } : {}),
    },
    orderBy: { id: 'desc' },
    take: PAGE_ROWS,
  });
  return {
    rows: rows.map(({ id, orgId: _, seq: __, bytesUp, bytesDown, ...row }): EgressRow => {
      return { ...row, id: id.toString(), bytesUp: Number(bytesUp), bytesDown: Number(bytesDown) };
    }),
    /** Give this as `before` for the next page; null on the last. */
    next: rows.length === PAGE_ROWS ? rows.at(-1)!.id.toString() : null,
  };
}
