import type { Session } from '../../prisma/generated/client.ts';
import { type HeadCheck, listHeadChecks } from '../checks/list-head-checks.ts';
import type { Tx } from '../db.ts';
import { computeStatus, type SessionStatus } from './status.ts';

export type SessionSummary = {
  id: string;
  title: string;
  state: Session['state'];
  status: SessionStatus;
  stateSince: Date;
  stateReason: string | null;
  createdAt: Date;
  activeAt: Date;
  endedAt: Date | null;
  agentName: string;
  modelName: string;
  scripted: boolean;
  createdBy: string;
  repository: { id: string; slug: string; name: string };
  change: {
    number: number;
    state: 'open' | 'merged' | 'closed';
    /** Of its newest commit. */
    checks: HeadCheck[];
  } | null;
};

const SESSIONS_MAX = 200;

/** The newest sessions, those of one repository or all. */
export async function listSessions(tx: Tx, filter: { repositoryId?: string }): Promise<SessionSummary[]> {
  const sessions = await tx.session.findMany({
    where: filter,
    orderBy: { createdAt: 'desc' },
    take: SESSIONS_MAX,
    omit: { worktree: true },
  });
  const ids = sessions.map((session) => session.id);
  // One after the other: a transaction is one connection, which answers one query at a time.
  const working = await tx.message.groupBy({
    by: ['sessionId'],
    where: { sessionId: { in: ids }, state: { in: ['queued', 'delivered'] } },
  });
  const changes = await tx.change.findMany({ where: { sessionId: { in: ids } }, orderBy: { number: 'asc' } });
  const repositories = await tx.repository.findMany({ where: { id: { in: sessions.map((session) => session.repositoryId) } } });
  const people = await tx.user.findMany({
    where: { id: { in: sessions.map((session) => session.createdById) } },
    select: { id: true, name: true, email: true },
  });
  const hasWork = new Set(working.map((row) => row.sessionId));
  const changeOf = new Map(changes.map((change) => [change.sessionId, change]));
  const checksOf = await listHeadChecks(tx, [...changeOf.values()]);
  const repositoryOf = new Map(repositories.map((repository) => [repository.id, repository]));
  const personOf = new Map(people.map((person) => [person.id, person.name ?? person.email]));

  return sessions.map((session) => {
    const repository = repositoryOf.get(session.repositoryId);
    const change = changeOf.get(session.id);
    return {
      id: session.id,
      title: session.title,
      state: session.state,
      status: computeStatus({ state: session.state, hasWork: hasWork.has(session.id) }),
      stateSince: session.stateSince,
      stateReason: session.stateReason,
      createdAt: session.createdAt,
      activeAt: session.activeAt,
      endedAt: session.endedAt,
      agentName: session.agentName,
      modelName: session.modelName,
      scripted: session.scripted,
      createdBy: personOf.get(session.createdById) ?? 'a former member',
      repository: { id: session.repositoryId, slug: repository?.slug ?? '', name: repository?.name ?? '' },
      change: change ? { number: change.number, state: change.state, checks: checksOf.get(change.id) ?? [] } : null,
    };
  });
}
