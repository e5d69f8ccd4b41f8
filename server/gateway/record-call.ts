import { type Db, withOrg } from '../db.ts';
import type { MachineGrant } from '../grants.ts';
import { appendEvent } from '../sessions/append-event.ts';
import type { ModelError } from './model-error.ts';
import type { Usage } from './sse-scanner.ts';

export type ModelCall = {
  provider: string;
  model: string;
  usage: Usage;
  /** What the agent got, or would have got had the stream not begun. */
  status: number;
  durationMs: number;
  /** Null when the call went well. */
  error: ModelError | null;
};

/**
 * Keeps what a model call cost and, when it failed, tells the session's timeline: the agent's own words about it are
 * often vague. Agents retry, so one cause is told once per message.
 */
export async function recordCall(db: Db, grant: MachineGrant, call: ModelCall): Promise<void> {
  const { orgId, sessionId, machineId } = grant;
  await withOrg(db, orgId, async (tx) => {
    await tx.usageEntry.create({
      data: {
        orgId,
        sessionId,
        machineId,
        provider: call.provider,
        model: call.model,
        inputTokens: call.usage.inputTokens,
        outputTokens: call.usage.outputTokens,
        status: call.status,
        durationMs: Math.round(call.durationMs),
      },
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
