import { z } from 'zod';
import { EGRESS_DECISIONS } from '../../../hostd/contract/egress.ts';
import { addRule, changeRule, removeRule } from '../../egress/change-rules.ts';
import { egressRuleInputSchema } from '../../egress/contract.ts';
import { listEgress } from '../../egress/list-egress.ts';
import { orgProcedure, router } from '../trpc.ts';

const logInput = z.object({
  /** All of the organization's machines when absent. */
  sessionId: z.string().max(50).optional(),
  decision: z.enum(EGRESS_DECISIONS).optional(),
  /** Part of the host's name. */
  host: z.string().trim().max(253).optional(),
  before: z
    .string()
    .regex(/^\d{1,18}$/)
    .optional(),
});
const ruleInput = z.object({ rule: egressRuleInputSchema });
const ruleRef = z.object({ ruleId: z.string().max(60) });

/** What machines of the organization may reach. */
export const egressRouter = router({
  rules: orgProcedure('viewer').query(({ ctx }) => ({ rules: ctx.policy.egress, limits: ctx.policy.egressLimits })),

  /** What machines tried to reach, newest first, a page at a time; `before` is the last page's last id. */
  log: orgProcedure('viewer')
    .input(logInput)
    .query(({ ctx, input }) => ctx.withOrg((tx) => listEgress(tx, input))),

  addRule: orgProcedure('admin')
    .input(ruleInput)
    .mutation(async ({ ctx, input }) => {
      const { id } = await ctx.withOrg((tx) => addRule(tx, byOf(ctx), input.rule));
      return { ruleId: id };
    }),

  changeRule: orgProcedure('admin')
    .input(ruleRef.extend(ruleInput.shape))
    .mutation(({ ctx, input }) => ctx.withOrg((tx) => changeRule(tx, byOf(ctx), input.ruleId, input.rule))),

  removeRule: orgProcedure('admin')
    .input(ruleRef)
    .mutation(({ ctx, input }) => ctx.withOrg((tx) => removeRule(tx, byOf(ctx), input.ruleId))),
});

function byOf(ctx: { org: { id: string }; user: { id: string } }) {
  return { orgId: ctx.org.id, actor: ctx.user.id };
}
