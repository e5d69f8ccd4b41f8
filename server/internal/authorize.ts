import type { Clock } from '../clock.ts';
import { type Db, withOrg } from '../db.ts';
import { type MachineGrant, verifyGrant } from '../grants.ts';

/*
 * Who is calling from a machine. A grant says what it may do; the machine's row says whether it still exists: a grant that
 * leaked out of a suspended, moved or deleted machine is worth nothing.
 */
export type MachineCaller = {
  grant: MachineGrant;
  orgSlug: string;
  /** The organization's policy as stored. */
  policy: unknown;
};

export type AuthorizeFailure = { status: 401 | 403; message: string };
export type AuthorizeVerdict = { ok: true; caller: MachineCaller } | { ok: false; failure: AuthorizeFailure };

export type AuthorizeDeps = { db: Db; grantSecret: string; clock: Clock };

export async function authorizeMachine(deps: AuthorizeDeps, authorization: string | undefined): Promise<AuthorizeVerdict> {
  const token = /^Bearer ([\w.-]+)$/.exec(authorization ?? '')?.[1];
  if (!token) return refuse(401, 'This address serves machines of Warren only; the request carries no machine grant.');
  const verdict = verifyGrant(deps.grantSecret, token, deps.clock.now());
  if (!verdict.ok) {
    return refuse(401, verdict.reason === 'expired' ? 'The machine grant has expired.' : 'The machine grant is not valid.');
  }
  const { grant } = verdict;
  const found = await withOrg(deps.db, grant.orgId, async (tx) => ({
    machine: await tx.machine.findUnique({ where: { id: grant.machineId } }),
    org: await tx.organization.findUnique({ where: { id: grant.orgId } }),
  }));
  if (!found.org || !found.machine || found.machine.endedAt || found.machine.lease !== grant.lease) {
    return refuse(403, 'The machine this grant was made for is no longer live.');
  }
  return { ok: true, caller: { grant, orgSlug: found.org.slug, policy: found.org.policy } };
}

function refuse(status: 401 | 403, message: string): AuthorizeVerdict {
  return { ok: false, failure: { status, message } };
}
