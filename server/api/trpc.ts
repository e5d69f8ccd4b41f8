import { initTRPC } from '@trpc/server';
import superjson from 'superjson';
import { z } from 'zod';
import { hasRole, type Role } from '../auth/roles.ts';
import type { SignedInUser } from '../auth/session.ts';
import { type Tx, withOrg } from '../db.ts';
import { AppError, notFound } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { parseOrgPolicy } from '../policy/policy.ts';
import type { Services } from '../services.ts';
import { findMembership } from '../tenancy/find-membership.ts';
import { reportError, toTrpcError } from './report-error.ts';

export type Context = {
  services: Services;
  user: SignedInUser | null;
  requestId: string;
  /** For rate limits; the address the connection came from. */
  clientAddress: string;
  log: Logger;
};

const t = initTRPC.context<Context>().create({
  transformer: superjson,
  errorFormatter: ({ shape, error, ctx }) => {
    const report = reportError(error, ctx?.requestId ?? null);
    const { stack: _, ...data } = shape.data;
    return { ...shape, message: report.message, data: { ...data, ...report.data } };
  },
});

export const router = t.router;
export const createCallerFactory = t.createCallerFactory;

/** Translates our errors into tRPC's, and logs one line per call. */
const reportCalls = t.middleware(async ({ ctx, path, type, next }) => {
  const startedAt = performance.now();
  const result = await next();
  if (!result.ok) throw toTrpcError(result.error, { log: ctx.log, path });
  const durationMs = Math.round(performance.now() - startedAt);
  ctx.log[type === 'mutation' ? 'info' : 'debug']({ event: 'api.call', path, durationMs }, 'call');
  return result;
});

export const publicProcedure = t.procedure.use(reportCalls);

/** A signed-in person. */
export const authedProcedure = publicProcedure.use(({ ctx, next }) => {
  if (!ctx.user) throw new AppError('unauthorized', { publicMessage: 'Sign in to continue.' });
  return next({ ctx: { ...ctx, user: ctx.user } });
});

/** What an organization's procedure is about; every one takes at least this. */
const orgInput = z.object({ org: z.string().max(100) });

/**
 * A member with at least `minRole` in the organization whose slug is the input's `org`. Everyone else gets not_found, as if
 * it did not exist. The rows of this organization, and no others, are reached through `ctx.withOrg`.
 */
export function orgProcedure(minRole: Role) {
  return authedProcedure.input(orgInput).use(async ({ ctx, input, next }) => {
    const membership = await findMembership(ctx.services.db, ctx.user.id, input.org);
    if (!membership) throw notFound('organization');
    const { org, role } = membership;
    if (!hasRole(role, minRole)) {
      throw new AppError('forbidden', { publicMessage: `This needs the role ${minRole}; yours is ${role}.` });
    }
    return next({
      ctx: {
        ...ctx,
        org,
        role,
        policy: parseOrgPolicy(org.policy),
        actor: { userId: ctx.user.id, role },
        log: ctx.log.child({ orgId: org.id }),
        withOrg: <T>(fn: (tx: Tx) => Promise<T>) => withOrg(ctx.services.db, org.id, fn),
      },
    });
  });
}
