import { z } from 'zod';
import { listAudit } from '../../audit/list-audit.ts';
import { describeProvider } from '../../gateway/provider.ts';
import { listHosts, listInstallationWeaknesses } from '../../orgs/list-hosts.ts';
import { listMembers } from '../../orgs/list-members.ts';
import { summarizeUsage } from '../../orgs/summarize-usage.ts';
import { listMemberships } from '../../tenancy/find-membership.ts';
import { authedProcedure, orgProcedure, router } from '../trpc.ts';

export const orgsRouter = router({
  list: authedProcedure.query(async ({ ctx }) => {
    const memberships = await listMemberships(ctx.services.db, ctx.user.id);
    return memberships.map(({ org, role }) => ({ id: org.id, slug: org.slug, name: org.name, role }));
  }),

  get: orgProcedure('viewer').query(async ({ ctx }) => {
    return {
      org: { id: ctx.org.id, slug: ctx.org.slug, name: ctx.org.name, createdAt: ctx.org.createdAt },
      role: ctx.role,
      members: await ctx.withOrg(listMembers),
      policy: ctx.policy,
      model: describeProvider(ctx.services.models),
      /** Why organizations here are kept apart less than strangers need, which the operator allows. Empty when they are not. */
      weakIsolation: ctx.services.weakIsolationAllowed ? await ctx.withOrg(listInstallationWeaknesses) : [],
    };
  }),

  /** Newest first, a page at a time; `before` is the last page's last id. */
  audit: orgProcedure('admin')
    .input(
      z.object({
        before: z
          .string()
          .regex(/^\d{1,18}$/)
          .optional(),
      }),
    )
    .query(({ ctx, input }) => ctx.withOrg((tx) => listAudit(tx, input.before))),

  usage: orgProcedure('viewer').query(({ ctx }) => ctx.withOrg((tx) => summarizeUsage(tx, ctx.services.clock.now()))),

  /** Computers that run this installation's machines, and how many of this organization's are on each. */
  hosts: orgProcedure('viewer').query(({ ctx }) => ctx.withOrg((tx) => listHosts(tx, ctx.services.clock.now()))),
});
