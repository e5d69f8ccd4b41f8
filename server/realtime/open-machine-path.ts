import type { Role } from '../auth/roles.ts';
import { hasRole } from '../auth/roles.ts';
import type { SignedInUser } from '../auth/session.ts';
import { withOrg } from '../db.ts';
import type { Services } from '../services.ts';
import { findLiveMachine, type LiveMachine } from '../sessions/machine-files.ts';
import { findMembership } from '../tenancy/find-membership.ts';
import type { Ack } from './contract.ts';

export type MachinePath = { ok: true; orgId: string; orgSlug: string; role: Role; machine: LiveMachine };
export type Refusal = Extract<Ack, { ok: false }>;

/** `what` is for people: “A terminal”. */
export type MachinePathRequest = { orgSlug: string; sessionId: string; role: Role; what: string };

/**
 * Whether a person may have a connection of their own into a session's machine, and to which machine. Asked each time one is
 * opened. Outsiders learn nothing but "not found".
 */
export async function openMachinePath(
  { db }: Services,
  user: SignedInUser,
  { orgSlug, sessionId, role, what }: MachinePathRequest,
): Promise<MachinePath | Refusal> {
  const membership = await findMembership(db, user.id, orgSlug);
  if (!membership) return refuse('not_found', 'There is no such session.');
  const orgId = membership.org.id;
  const found = await withOrg(db, orgId, async (tx) => ({
    session: await tx.session.findUnique({ where: { id: sessionId }, select: { id: true } }),
    machine: await findLiveMachine(tx, sessionId),
  }));
  if (!found.session) return refuse('not_found', 'There is no such session.');
  if (!hasRole(membership.role, role)) return refuse('unauthorized', `${what} needs the role ${role}.`);
  if (!found.machine) return refuse('asleep', `The machine is asleep. ${what} needs it awake: wake the session first.`);
  return { ok: true, orgId, orgSlug: membership.org.slug, role: membership.role, machine: found.machine };
}

export function refuse(code: Refusal['code'], message: string): Refusal {
  return { ok: false, code, message };
}

/** Answers an event. Whether it came with something to answer is the page's word, and calling what is no function would end web. */
export function answer(ack: unknown, reply: Ack): void {
  if (typeof ack === 'function') ack(reply);
}
