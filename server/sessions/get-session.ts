import { hasDesktop } from '../../hostd/contract/images.ts';
import type { Check, SessionEvent, Template } from '../../prisma/generated/client.ts';
import type { Tx } from '../db.ts';
import { environmentSchema } from '../environments/environment.ts';
import { notFound } from '../errors.ts';
import { computeStatus } from './status.ts';
import { type TimelineEvent, type TimelineRow, timelineEventSchema } from './timeline.ts';

const LOG_TAIL_CHARS = 8000;
const EVENTS_MAX = 2000;
/** Of one reply, looked at after each piece that is read: one row alone may have some hundred kB of diffs. */
const EVENTS_CHARS_MAX = 4_000_000;
const PIECE_ROWS = 200;
const ROWS_MAX = 100;

/** Everything the session's page shows beside its timeline. Costs no compute: nothing here asks a machine. */
export async function getSession(tx: Tx, sessionId: string) {
  const session = await tx.session.findUnique({ where: { id: sessionId }, omit: { worktree: true } });
  if (!session) throw notFound('session');
  const repository = await tx.repository.findUniqueOrThrow({ where: { id: session.repositoryId } });
  const person = await tx.user.findUnique({ where: { id: session.createdById }, select: { name: true, email: true } });
  const change = await tx.change.findFirst({ where: { sessionId }, orderBy: { number: 'desc' } });
  const messages = await tx.message.findMany({
    where: { sessionId, state: { in: ['queued', 'delivered'] } },
    orderBy: { seq: 'asc' },
    take: ROWS_MAX,
    select: { id: true, kind: true, state: true, createdAt: true, cancelAt: true },
  });
  const wakes = await tx.wake.findMany({ where: { sessionId }, orderBy: { requestedAt: 'desc' }, take: ROWS_MAX });
  const machine = session.machineId ? await tx.machine.findUnique({ where: { id: session.machineId } }) : null;
  const template = session.templateId
    ? await tx.template.findUnique({ where: { id: session.templateId }, select: { environment: true } })
    : null;
  const suspends = await tx.sessionEvent.findMany({
    where: { sessionId, kind: 'suspended' },
    orderBy: { seq: 'desc' },
    take: ROWS_MAX,
  });
  const inProgress = session.state === 'provisioning' ? await findTemplateInProgress(tx, session.repositoryId) : null;
  const checks = change
    ? await tx.check.findMany({
        where: { changeId: change.id, commitSha: change.headSha },
        orderBy: { createdAt: 'asc' },
        omit: { log: true },
      })
    : [];
  const { agentOffset: _, nextRpcId: __, agentSessionId: ___, ...visible } = session;
  return {
    session: { ...visible, createdBy: person?.name ?? person?.email ?? 'a former member' },
    status: computeStatus({ state: session.state, hasWork: messages.length > 0 }),
    repository,
    change,
    checks: checks.map(summarizeCheck),
    /** Their texts are in the timeline. */
    queued: messages,
    wakes,
    machine: machine && {
      id: machine.id,
      hostId: machine.hostId,
      bootId: machine.bootId,
      lease: machine.lease,
      createdAt: machine.createdAt,
    },
    suspends: suspends.flatMap(readSuspend),
    templateProgress: inProgress && summarizeTemplate(inProgress),
    /** Its machines have a screen. */
    hasDesktop: template !== null && hasDesktop(environmentSchema.parse(template.environment).image),
  };
}

async function findTemplateInProgress(tx: Tx, repositoryId: string): Promise<Template | null> {
  return tx.template.findFirst({
    where: { repositoryId, state: { in: ['building', 'failed'] } },
    orderBy: { createdAt: 'desc' },
  });
}

function summarizeTemplate({ id, state, failure, log, createdAt }: Template) {
  return { id, state, failure, logTail: log.slice(-LOG_TAIL_CHARS), createdAt };
}

function summarizeCheck({ id, name, command, state, exitCode, commitSha, startedAt, finishedAt }: Omit<Check, 'log'>) {
  return { id, name, command, state, exitCode, commitSha, startedAt, finishedAt };
}

function readSuspend(row: { data: unknown; at: Date }): (Extract<TimelineEvent, { kind: 'suspended' }> & { at: Date })[] {
  const event = timelineEventSchema.safeParse(row.data);
  return event.success && event.data.kind === 'suspended' ? [{ ...event.data, at: row.at }] : [];
}

/**
 * Timeline rows that changed after a revision, oldest revision first, up to a number of rows and of bytes. The reply's `rev` is
 * where the next call goes on; merge rows by `seq`.
 */
export async function listEvents(tx: Tx, sessionId: string, afterRev: number): Promise<{ rows: TimelineRow[]; rev: number }> {
  if (!(await tx.session.findUnique({ where: { id: sessionId }, select: { id: true } }))) throw notFound('session');
  const found = await readEvents(tx, sessionId, afterRev);
  // An older version of ours may have written a kind that is no more; the others still show.
  const rows = found.flatMap(({ seq, rev, at, data }) => {
    const event = timelineEventSchema.safeParse(data);
    return event.success ? [{ seq, rev, at: at.toISOString(), event: event.data }] : [];
  });
  return { rows, rev: found.at(-1)?.rev ?? afterRev };
}

async function readEvents(tx: Tx, sessionId: string, afterRev: number): Promise<SessionEvent[]> {
  const found: SessionEvent[] = [];
  let chars = 0;
  while (found.length < EVENTS_MAX && chars < EVENTS_CHARS_MAX) {
    const piece = await tx.sessionEvent.findMany({
      where: { sessionId, rev: { gt: found.at(-1)?.rev ?? afterRev } },
      orderBy: { rev: 'asc' },
      take: PIECE_ROWS,
    });
    found.push(...piece);
    if (piece.length < PIECE_ROWS) break;
    chars += JSON.stringify(piece.map(({ data }) => data)).length;
  }
  return found;
}
