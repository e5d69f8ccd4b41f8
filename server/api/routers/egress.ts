import { z } from 'zod';
import { addRule, changeRule, removeRule } from '../../egress/change-rules.ts';
import { egressRuleInputSchema } from '../../egress/contract.ts';
import { orgProcedure, router } from '../trpc.ts';

const ruleInput = z.object({ rule: egressRuleInputSchema });
const ruleRef = z.object({ ruleId: z.string().max(60) });

/** What machines of the organization may reach. */
export const egressRouter = router({
  rules: orgProcedure('viewer').query(({ ctx }) => ({ rules: ctx.policy.egress, limits: ctx.policy.egressLimits })),

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
