import type { EgressPolicy } from '../../hostd/contract/egress.ts';
import type { Machine } from '../../prisma/generated/client.ts';
import { type Tx, withOrg } from '../../server/db.ts';
import { parseOrgPolicy } from '../../server/policy/policy.ts';
import { openSecretsFor } from '../../server/secrets/secrets.ts';
import type { WorkerDeps } from '../deps.ts';
import { machineEgress } from './machine-egress.ts';

/** What this machine may reach, from its row and its organization's policy as they are now. */
export async function egressOf(deps: WorkerDeps, machine: Machine): Promise<EgressPolicy> {
  const { id, orgId, lease, purpose, sessionId } = machine;
  const { org, worksOn, secrets } = await withOrg(deps.db, orgId, async (tx) => ({
    org: await tx.organization.findUniqueOrThrow({ where: { id: orgId } }),
    worksOn: await findWork(tx, machine),
    secrets: await openSecretsFor(tx, deps.keyring, orgId, purpose),
  }));
  return machineEgress({
    policy: parseOrgPolicy(org.policy),
    secrets,
    grant: { orgId, machineId: id, lease, purpose, ...(sessionId ? { sessionId } : {}), ...worksOn },
    grantSecret: deps.grantSecret,
    internalUrl: deps.internalUrl,
    now: deps.clock.now(),
  });
}

/** The repository the machine works on, and the branch it may push. */
async function findWork(tx: Tx, machine: Machine): Promise<{ repositoryId: string; branch?: string }> {
  const select = { repositoryId: true } as const;
  if (machine.sessionId) {
    return tx.session.findUniqueOrThrow({ where: { id: machine.sessionId }, select: { ...select, branch: true } });
  }
  if (machine.templateId) return tx.template.findUniqueOrThrow({ where: { id: machine.templateId }, select });
  return tx.check.findUniqueOrThrow({ where: { id: machine.checkId ?? '' }, select });
}
