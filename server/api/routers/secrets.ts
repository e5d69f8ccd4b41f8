import { z } from 'zod';
import { secretInputSchema, secretValueSchema } from '../../secrets/contract.ts';
import { createSecret, listSecrets, removeSecret, setSecretValue } from '../../secrets/secrets.ts';
import { orgProcedure, router } from '../trpc.ts';

const secretRef = z.object({ secretId: z.string().max(50) });

/** Credentials that are added to requests outside the machines. Values go in and are never given back. */
export const secretsRouter = router({
  list: orgProcedure('developer').query(({ ctx }) => ctx.withOrg(listSecrets)),

  create: orgProcedure('admin')
    .input(z.object({ secret: secretInputSchema }))
    .mutation(async ({ ctx, input }) => {
      const secretId = await ctx.withOrg((tx) => createSecret(tx, ctx.services.keyring, byOf(ctx), input.secret));
      return { secretId };
    }),

  setValue: orgProcedure('admin')
    .input(secretRef.extend({ secret: secretValueSchema }))
    .mutation(({ ctx, input: { secretId, secret } }) => {
      const now = ctx.services.clock.now();
      return ctx.withOrg((tx) => setSecretValue(tx, ctx.services.keyring, byOf(ctx), { secretId, now, ...secret }));
    }),

  remove: orgProcedure('admin')
    .input(secretRef)
    .mutation(({ ctx, input }) => ctx.withOrg((tx) => removeSecret(tx, byOf(ctx), input.secretId))),
});

function byOf(ctx: { org: { id: string }; user: { id: string } }) {
  return { orgId: ctx.org.id, actor: ctx.user.id };
}
