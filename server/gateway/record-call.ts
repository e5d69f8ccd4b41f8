import { type Db, withOrg } from '../db.ts';
import type { MachineGrant } from '../grants.ts';
import { appendEvent } from '../sessions/append-event.ts';
import type { ModelError } from './model-error.ts';
import type { Usage } from './sse-scanner.ts';

export type ModelCallEnd = {
  usage: Usage;
  /** What the agent got, or would have got had the stream not begun. */
  status: number;
  durationMs: number;
  /** Null when the call went well. */
  error: ModelError | null;
};

/**
 * Takes down that a model is about to be called. Nobody is called and paid whose cost cannot be kept; status 0 stays where the
 * call was not made after all, or web ended in the middle of it.
 */
export async function recordCallStart(db: Db, grant: MachineGrant, call: { provider: string; model: string }): Promise<bigint> {
  const { orgId, sessionId, machineId } = grant;
  const begun = { inputTokens: 0, outputTokens: 0, status: 0, durationMs: 0 };
  const { id } = await withOrg(db, orgId, (tx) =>
    tx.usageEntry.create({ data: { orgId, sessionId, machineId, ...call, ...begun }, select: { id: true } }),
  );
  return id;
}

/**
 * Keeps what a model call cost and, when it failed, tells the session's timeline: the agent's own words about it are
 * often vague. Agents retry, so one cause is told once per message. Safe to repeat.
 */
export async function recordCallEnd(db: Db, grant: MachineGrant, entryId: bigint, call: ModelCallEnd): Promise<void> {
  const { orgId, sessionId } = grant;
  await withOrg(db, orgId, async (tx) => {
    const { usage, status, durationMs } = call;
    await tx.usageEntry.updateMany({
      where: { id: entryId },
      data: { ...usage, status, durationMs: Math.round(durationMs) },
    });
    if (!call.error || !sessionId) return;
    const sinceMessage = await tx.sessionEvent.findFirst({
      where: { sessionId, kind: 'message' },
      orderBy: { seq: 'desc' },
      select: { seq: true },
    });
    const told = await tx.sessionEvent.findMany({
      where: { sessionId, kind: 'error', seq: { gt: sinceMessage?.seq ?? 0 } },
      select: { data: true },
    });
    const detail = call.error.message;
    if (told.some((event) => (event.data as { detail?: unknown }).detail === detail)) return;
    await appendEvent(
      tx,
      { orgId, sessionId },
      { kind: 'error', title: 'A model call failed', detail, nextStep: nextStepOf(call.error) },
    );
  });
}

function nextStepOf(error: ModelError): string {
  if (error.code === 'model_not_allowed') return 'An owner of the organization can allow the model in its policy.';
  if (error.code === 'model_not_served')
    return 'The model was changed while the agent was at work. Send a message: the agent is set up for the new one first.';
  if (error.code === 'provider_credentials') return 'Nothing can be done from here until the key is corrected.';
  return 'The agent tries again by itself a few times. If it gave up, send a message to go on.';
}
