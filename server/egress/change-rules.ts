import type { Prisma } from '../../prisma/generated/client.ts';
import { type AuditAction, recordAudit } from '../audit/record.ts';
import type { Tx } from '../db.ts';
import { AppError, notFound } from '../errors.ts';
import { newId } from '../ids.ts';
import { enqueue } from '../jobs/enqueue.ts';
import { type OrgPolicy, parseOrgPolicy } from '../policy/policy.ts';
import { type CanonicalEgressRule, describeRule, RULES_MAX } from './contract.ts';

export type StoredRule = OrgPolicy['egress'][number];
type By = { orgId: string; actor: string };

/** All three keep the list under a lock, write the audit log and bring the change to the machines that run. */
export async function addRule(tx: Tx, by: By, input: CanonicalEgressRule): Promise<StoredRule> {
  return changeRules(tx, by, 'egress.rule_added', (rules) => {
    if (rules.length >= RULES_MAX) {
      throw new AppError('conflict', { publicMessage: `There are ${RULES_MAX} rules, the most there can be. Remove one first.` });
    }
    const about = { ...input, id: newId('egressRule'), requestBytesMax: null, responseBytesMax: null };
    requireFitting(about, rules);
    return { about, rules: [...rules, about] };
  });
}

export async function changeRule(tx: Tx, by: By, ruleId: string, input: CanonicalEgressRule): Promise<void> {
  await changeRules(tx, by, 'egress.rule_changed', (rules) => {
    const found = requireRule(rules, ruleId);
    const about = { ...found, ...input };
    requireFitting(
      about,
      rules.filter((rule) => rule !== found),
    );
    return { about, rules: rules.map((rule) => (rule === found ? about : rule)) };
  });
}

export async function removeRule(tx: Tx, by: By, ruleId: string): Promise<void> {
  await changeRules(tx, by, 'egress.rule_removed', (rules) => {
    const about = requireRule(rules, ruleId);
    return { about, rules: rules.filter((rule) => rule !== about) };
  });
}

function requireRule(rules: StoredRule[], ruleId: string): StoredRule {
  const found = rules.find((rule) => rule.id === ruleId);
  if (!found) throw notFound('rule');
  return found;
}

/**
 * What two rules of one host must not do: say the same twice, or ask for its TLS to be both read and not read.
 *
 * @throws AppError `conflict`, with the field to look at
 */
function requireFitting(rule: StoredRule, others: readonly StoredRule[]): void {
  const sharing = others.filter(({ host, ports }) => host === rule.host && ports.some((port) => rule.ports.includes(port)));
  if (sharing.some((other) => describeRule(other) === describeRule(rule) && other.webSocket === rule.webSocket)) {
    throw new AppError('conflict', { publicMessage: 'There is a rule that says just this already.', details: { field: 'host' } });
  }
  const against = sharing.find(({ mode }) => mode !== rule.mode);
  if (against) {
    throw new AppError('conflict', {
      publicMessage: `Another rule for ${rule.host} has the mode ${against.mode} on the same port. Change or remove that one first.`,
      details: { field: 'mode' },
    });
  }
}

async function changeRules(
  tx: Tx,
  { orgId, actor }: By,
  action: AuditAction,
  change: (rules: StoredRule[]) => { about: StoredRule; rules: StoredRule[] },
): Promise<StoredRule> {
  // Two administrators at once must not undo each other.
  const [row] = await tx.$queryRaw<{ policy: Prisma.JsonObject }[]>`
    select policy from "Organization" where id = ${orgId} for update`;
  if (!row) throw notFound('organization');
  const { about, rules } = change(parseOrgPolicy(row.policy).egress);
  await tx.organization.update({ where: { id: orgId }, data: { policy: { ...row.policy, egress: rules } } });
  await recordAudit(tx, { orgId, actor, action, target: about.id, details: { rule: describeRule(about) } });
  await enqueue(tx, 'apply-egress', { orgId });
  return about;
}
