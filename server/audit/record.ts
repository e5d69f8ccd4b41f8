import type { Prisma } from '../../prisma/generated/client.ts';
import type { Tx } from '../db.ts';

export const AUDIT_ACTIONS = [
  'org.created',
  'session.created',
  'session.transition',
  'session.message',
  'session.turn_cancelled',
  'file.written',
  'terminal.opened',
  'desktop.opened',
  'repository.created',
  'template.rebuild',
  'change.merged',
  'change.closed',
  'change.comment',
  'check.rerun',
  'token.created',
  'token.revoked',
  'git.pushed',
  'egress.rule_added',
  'egress.rule_changed',
  'egress.rule_removed',
  'secret.created',
  'secret.value_set',
  'secret.removed',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** One line of what a person or the system did, in the transaction that does it. Prompts and secrets never go into details. */
export async function recordAudit(
  tx: Pick<Tx, 'auditEntry'>,
  entry: { orgId: string; actor: string; action: AuditAction; target: string; details?: Prisma.InputJsonObject },
): Promise<void> {
  await tx.auditEntry.create({ data: { ...entry, details: entry.details ?? {} } });
}
