import { z } from 'zod';

/*
 * Every job there is: name, payload, and how many may wait or run at once for one key. The only door to the queue.
 *
 * `stately` with a singleton key: at most one job waiting and one running for that key. A message that arrives while a
 * session is being driven therefore always finds or makes a waiting job, and nothing is driven twice at once.
 * Handlers are idempotent: a job runs again after its worker dies (heartbeat).
 */
const tenant = { orgId: z.string() };

/** About once a minute, for weeks: longer than a job is kept. */
const UNTIL_DONE = 100_000;

export const JOBS = {
  /** Takes a session from whatever state it is in to where it must rest: provision, resume, deliver, follow, suspend, stop. */
  'drive-session': { schema: z.object({ ...tenant, sessionId: z.string() }), key: 'sessionId', retryLimit: 5 },
  'build-template': { schema: z.object({ ...tenant, templateId: z.string() }), key: 'templateId', retryLimit: 3 },
  'run-check': { schema: z.object({ ...tenant, checkId: z.string() }), key: 'checkId', retryLimit: 3 },
  /** Gives the organization's live machines its rules as they are now. Not given up: a host that hung goes on with the old ones. */
  'apply-egress': { schema: z.object({ ...tenant }), key: 'orgId', retryLimit: UNTIL_DONE },
  /** Every hour: bounds the egress log. */
  'prune-egress': { schema: z.object({}), key: null, retryLimit: 0 },
  /** Every hour: bounds the raw frames of agents. */
  'prune-frames': { schema: z.object({}), key: null, retryLimit: 0 },
  /** Every minute: sessions past their deadline, machines of ended sessions, snapshots nobody needs, lost hosts. */
  reap: { schema: z.object({}), key: null, retryLimit: 0 },
} as const;

export type JobName = keyof typeof JOBS;
export type JobPayload<N extends JobName> = z.infer<(typeof JOBS)[N]['schema']>;

/** A worker that stops reporting for this long is dead and its job is given to another. */
export const JOB_HEARTBEAT_SECONDS = 15;
