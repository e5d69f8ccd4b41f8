import type { EgressPolicy, EgressSecret, EgressService } from '../../hostd/contract/egress.ts';
import { type MachineGrant, signGrant } from '../../server/grants.ts';
import type { OrgPolicy } from '../../server/policy/policy.ts';

/** A grant ends with the machine's row; this is only the ceiling should a row be forgotten. */
const GRANT_SECONDS_MAX = 7 * 24 * 60 * 60;

export type EgressInput = {
  secrets: readonly EgressSecret[];
  policy: Pick<OrgPolicy, 'egress' | 'egressLimits'>;
  grant: Omit<MachineGrant, 'exp'>;
  grantSecret: string;
  internalUrl: string;
  now: Date;
};

/**
 * What a machine may reach, and with which of the organization's secrets: git and models by names that carry its grant, added
 * outside the machine, and the organization's allow-list. Only a session's machine gets models: set-up of a template and code under
 * test have no business there.
 */
export function machineEgress({ policy, secrets, grant, grantSecret, internalUrl, now }: EgressInput): EgressPolicy {
  const token = signGrant(grantSecret, { ...grant, exp: Math.floor(now.getTime() / 1000) + GRANT_SECONDS_MAX });
  const service = (name: string): EgressService => ({
    host: `${name}.warren.internal`,
    upstream: `${internalUrl}/${name}`,
    headers: { authorization: `Bearer ${token}` },
  });
  const services = grant.purpose === 'session' ? [service('git'), service('models')] : [service('git')];
  return { services, allow: policy.egress, limits: policy.egressLimits, secrets: [...secrets] };
}
