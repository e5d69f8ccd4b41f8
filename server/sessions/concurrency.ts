import type { Tx } from '../db.ts';
import { parseOrgPolicy } from '../policy/policy.ts';
import type { SessionState } from './states.ts';

/** States in which a session has a machine or is about to get one. */
const OCCUPYING: SessionState[] = ['created', 'provisioning', 'running', 'suspending', 'resuming'];

/**
 * Sessions that occupy a machine now. Holds the organization's row until the transaction ends, so that two requests at
 * once cannot both take the last place.
 */
export async function countConcurrentSessions(tx: Tx, orgId: string): Promise<number> {
  await tx.$queryRaw`select 1 from "Organization" where id = ${orgId} for no key update`;
  return tx.session.count({ where: { state: { in: OCCUPYING } } });
}

/** Why none may be woken now, in words for people; null when there is room. For wakes that no person asked for. */
export async function whyNoRoom(tx: Tx, orgId: string): Promise<string | null> {
  const sessions = await countConcurrentSessions(tx, orgId);
  const { policy } = await tx.organization.findUniqueOrThrow({ where: { id: orgId }, select: { policy: true } });
  if (sessions < parseOrgPolicy(policy).maxConcurrentSessions) return null;
  return `${sessions} sessions are running, which is this organization’s limit`;
}
