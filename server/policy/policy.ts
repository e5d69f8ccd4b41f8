import { createHash } from 'node:crypto';
import { z } from 'zod';
import { egressLimitsSchema, egressRuleSchema } from '../../hostd/contract/egress.ts';
import { hasRole, ROLES, type Role } from '../auth/roles.ts';
import { RULES_MAX } from '../egress/contract.ts';

/*
 * An organization's rules as data, and the one function that answers yes or no. Anything that cannot be decided is a no.
 */
const MEGABYTE = 1_000_000;

/** Rules written before they had names get one that stays the same as long as they do. */
const egressRule = egressRuleSchema.transform((rule) => ({ ...rule, id: rule.id || nameOfRule(rule) }));

function nameOfRule({ host, ports }: { host: string; ports: number[] }): string {
  return `rul_${createHash('sha256')
    .update(`${host}:${ports.join(',')}`)
    .digest('hex')
    .slice(0, 20)}`;
}

const PACKAGE_HOSTS = [
  'registry.npmjs.org',
  'registry.yarnpkg.com',
  'pypi.org',
  'files.pythonhosted.org',
  'proxy.golang.org',
  'sum.golang.org',
  'index.crates.io',
  'static.crates.io',
  'crates.io',
  'rubygems.org',
  'repo.maven.apache.org',
  'deb.debian.org',
];

export const orgPolicySchema = z.object({
  /** Models sessions may use; null allows every model the installation is configured with. */
  allowedModels: z.array(z.string()).nullable().default(null),
  /** What machines may reach beside git, models, npm and Debian's archives, which have names of their own. Everything else is refused. */
  egress: z
    .array(egressRule)
    .max(RULES_MAX)
    .prefault(PACKAGE_HOSTS.map((host) => ({ host, ports: [80, 443] }))),
  /** What one machine may use of its way out. */
  egressLimits: egressLimitsSchema.prefault({}),
  /** Sessions with a machine, or about to have one, at a time. */
  maxConcurrentSessions: z.number().int().min(1).max(1000).default(4),
  /** From the last thing that happened to the machine being put to sleep. */
  idleSuspendMs: z.number().int().min(1000).max(86_400_000).default(5000),
  /** How long processes and downloads that nobody waits for may keep a machine awake after the last thing that happened. */
  backgroundWorkMaxMs: z.number().int().min(0).max(86_400_000).default(3_600_000),
  promptBytesMax: z.number().int().min(1000).max(MEGABYTE).default(100_000),
  /** Refuse to merge a change whose checks have not all passed; otherwise the person is only told. */
  requirePassingChecks: z.boolean().default(false),
  /** Who may push to a default branch with their own git, past a change; null is nobody. Sessions never may. */
  defaultBranchPush: z.enum(ROLES).nullable().default('developer'),
});

export type OrgPolicy = z.infer<typeof orgPolicySchema>;

/** The stored policy with defaults filled in. One that does not parse is an error, never silently the defaults. */
export function parseOrgPolicy(stored: unknown): OrgPolicy {
  return orgPolicySchema.parse(stored);
}

/** What a person may ask for, the role it takes, and what must be known to decide it. */
export type PolicyRequest =
  | { action: 'session.create'; context: { modelName: string; promptBytes: number; concurrentSessions: number } }
  | { action: 'session.send'; context: { promptBytes: number } }
  | { action: 'session.wake'; context: { concurrentSessions: number } }
  | { action: 'change.merge'; context: Record<string, never> }
  /** By a person's own git. `firstCommit`: the repository's default branch is not there yet. */
  | { action: 'repository.push'; context: { defaultBranch: boolean; firstCommit: boolean } };

const MIN_ROLE: Record<PolicyRequest['action'], Role> = {
  'session.create': 'developer',
  'session.send': 'developer',
  'session.wake': 'developer',
  'change.merge': 'developer',
  'repository.push': 'developer',
};

export type Decision = { allow: true } | { allow: false; reason: string };
export type PolicyActor = { userId: string; role: Role };

/**
 * May this person do this here? The door through which every rule goes; a policy engine later stands behind it.
 * A rule that throws denies.
 */
export function decide(actor: PolicyActor, policy: OrgPolicy, request: PolicyRequest): Decision {
  try {
    if (!hasRole(actor.role, MIN_ROLE[request.action])) {
      return deny(`This needs the role ${MIN_ROLE[request.action]}; yours is ${actor.role}.`);
    }
    return decideByPolicy(actor, policy, request);
  } catch {
    return deny('The organization’s policy could not be evaluated, so the answer is no.');
  }
}

function decideByPolicy(actor: PolicyActor, policy: OrgPolicy, request: PolicyRequest): Decision {
  switch (request.action) {
    case 'session.create': {
      const { modelName, promptBytes, concurrentSessions } = request.context;
      if (policy.allowedModels !== null && !policy.allowedModels.includes(modelName)) {
        return deny(`The model ${modelName} is not allowed here. Allowed: ${policy.allowedModels.join(', ') || 'none'}.`);
      }
      return firstDenial(promptSize(policy, promptBytes), concurrency(policy, concurrentSessions));
    }
    case 'session.send':
      return promptSize(policy, request.context.promptBytes);
    case 'session.wake':
      return concurrency(policy, request.context.concurrentSessions);
    case 'change.merge':
      return { allow: true };
    case 'repository.push':
      return request.context.defaultBranch ? defaultBranch(actor, policy, request.context) : { allow: true };
    default:
      return deny('Unknown action.');
  }
}

function promptSize(policy: OrgPolicy, bytes: number): Decision {
  if (bytes <= policy.promptBytesMax) return { allow: true };
  const kB = (count: number) => `${Math.ceil(count / 1000)} kB`;
  return deny(
    `The text is ${kB(bytes)}; at most ${kB(policy.promptBytesMax)} is allowed. Put long material into the repository.`,
  );
}

function concurrency(policy: OrgPolicy, sessions: number): Decision {
  if (sessions < policy.maxConcurrentSessions) return { allow: true };
  return deny(
    `${sessions} sessions are running, which is this organization’s limit. Stop one or let one fall asleep, then try again.`,
  );
}

function defaultBranch({ role }: PolicyActor, policy: OrgPolicy, { firstCommit }: { firstCommit: boolean }): Decision {
  // There is nothing yet that a change could be reviewed against.
  if (firstCommit) return { allow: true };
  if (policy.requirePassingChecks) return deny('this organization merges only what passed its checks.');
  if (policy.defaultBranchPush === null) return deny('in this organization it moves only when a change is merged.');
  if (hasRole(role, policy.defaultBranchPush)) return { allow: true };
  return deny(`this needs the role ${policy.defaultBranchPush}; yours is ${role}.`);
}

function firstDenial(...decisions: Decision[]): Decision {
  return decisions.find((decision) => !decision.allow) ?? { allow: true };
}

function deny(reason: string): Decision {
  return { allow: false, reason };
}
