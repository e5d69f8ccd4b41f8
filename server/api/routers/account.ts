import { z } from 'zod';
import { createToken, listTokens, newTokenSchema, revokeToken } from '../../auth/access-tokens.ts';
import { SIGN_UP_LIMIT, takeAttempt } from '../../auth/rate-limit.ts';
import { signUp, signUpSchema } from '../../orgs/sign-up.ts';
import { listMemberships } from '../../tenancy/find-membership.ts';
import { authedProcedure, publicProcedure, router } from '../trpc.ts';

export const accountRouter = router({
  /** Creates a person with an organization of their own. Signing in is POST /api/auth/password. */
  signUp: publicProcedure.input(signUpSchema).mutation(async ({ ctx, input }) => {
    const { db, clock } = ctx.services;
    await takeAttempt(db, SIGN_UP_LIMIT, [ctx.clientAddress], clock.now());
    const { orgSlug } = await signUp(db, input);
    return { orgSlug };
  }),

  /** The signed-in person and where they are a member. */
  me: authedProcedure.query(async ({ ctx }) => {
    const memberships = await listMemberships(ctx.services.db, ctx.user.id);
    return { user: ctx.user, orgs: memberships.map(({ org, role }) => ({ id: org.id, slug: org.slug, name: org.name, role })) };
  }),

  /** Personal access tokens, without the tokens themselves. */
  tokens: authedProcedure.query(({ ctx }) => listTokens(ctx.services.db, ctx.user.id)),

  createToken: authedProcedure.input(newTokenSchema).mutation(({ ctx, input }) => {
    const { db, clock } = ctx.services;
    return createToken(db, { ...input, userId: ctx.user.id, now: clock.now() });
  }),

  revokeToken: authedProcedure.input(z.object({ tokenId: z.string().max(50) })).mutation(async ({ ctx, input }) => {
    await revokeToken(ctx.services.db, { userId: ctx.user.id, tokenId: input.tokenId });
    return { ok: true as const };
  }),
});
