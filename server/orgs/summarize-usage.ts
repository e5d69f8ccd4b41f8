import type { Tx } from '../db.ts';

const DAYS = 30;
const SESSIONS_MAX = 50;

/** Model tokens of the last 30 days: in all, and by model and session. */
export async function summarizeUsage(tx: Tx, now: Date) {
  const since = new Date(now.getTime() - DAYS * 86_400_000);
  const where = { at: { gte: since } };
  const totals = { _sum: { inputTokens: true, outputTokens: true }, _count: true } as const;
  const byModel = await tx.usageEntry.groupBy({ by: ['provider', 'model'], where, ...totals });
  const bySession = await tx.usageEntry.groupBy({
    by: ['sessionId'],
    where: { ...where, sessionId: { not: null } },
    ...totals,
    orderBy: { _sum: { outputTokens: 'desc' } },
    take: SESSIONS_MAX,
  });
  const models = byModel.map((row) => ({ provider: row.provider, model: row.model, ...sums(row) }));
  return {
    since,
    total: {
      calls: models.reduce((sum, row) => sum + row.calls, 0),
      inputTokens: models.reduce((sum, row) => sum + row.inputTokens, 0),
      outputTokens: models.reduce((sum, row) => sum + row.outputTokens, 0),
    },
    models,
    sessions: bySession.map((row) => ({ sessionId: row.sessionId, ...sums(row) })),
  };
}

function sums(row: { _count: number; _sum: { inputTokens: number | null; outputTokens: number | null } }) {
  return { calls: row._count, inputTokens: row._sum.inputTokens ?? 0, outputTokens: row._sum.outputTokens ?? 0 };
}
