import { z } from 'zod';
import { notFound } from '../../errors.ts';
import { cancelTurn, retrySession, stopSession, suspendSession, wakeByClick } from '../../sessions/control-session.ts';
import { getSession, listEvents } from '../../sessions/get-session.ts';
import { listSessions } from '../../sessions/list-sessions.ts';
import { sendMessage } from '../../sessions/send-message.ts';
import { startSession } from '../../sessions/start-session.ts';
import { orgProcedure, router } from '../trpc.ts';
import { sessionFiles } from './session-files.ts';
import { promptSchema, sessionInput } from './session-input.ts';

/** What a person may do to a session with nothing but its id. */
const member = (minRole: 'viewer' | 'developer') => orgProcedure(minRole).input(sessionInput);

export const sessionsRouter = router({
  list: orgProcedure('viewer')
    .input(z.object({ repo: z.string().max(100).optional() }))
    .query(({ ctx, input }) =>
      ctx.withOrg(async (tx) => {
        if (input.repo === undefined) return listSessions(tx, {});
        const repository = await tx.repository.findFirst({ where: { slug: input.repo } });
        if (!repository) throw notFound('repository');
        return listSessions(tx, { repositoryId: repository.id });
      }),
    ),

  create: orgProcedure('developer')
    .input(z.object({ repo: z.string().max(100), prompt: promptSchema, title: z.string().max(200).optional() }))
    .mutation(async ({ ctx, input }) => {
      const session = await startSession(ctx.services, {
        org: ctx.org,
        actor: { ...ctx.actor, name: ctx.user.name },
        repositorySlug: input.repo,
        prompt: input.prompt,
        title: input.title,
      });
      return { sessionId: session.id };
    }),

  get: member('viewer').query(({ ctx, input }) => ctx.withOrg((tx) => getSession(tx, input.sessionId))),

  events: member('viewer')
    .input(z.object({ afterRev: z.number().int().min(0) }))
    .query(({ ctx, input }) => ctx.withOrg((tx) => listEvents(tx, input.sessionId, input.afterRev))),

  send: member('developer')
    .input(z.object({ text: promptSchema }))
    .mutation(({ ctx, input }) =>
      ctx.withOrg((tx) =>
        sendMessage(tx, refOf(ctx, input), {
          text: input.text,
          actor: { ...ctx.actor, name: ctx.user.name },
          policy: ctx.policy,
        }),
      ),
    ),

  suspend: member('developer').mutation(({ ctx, input }) =>
    ctx.withOrg((tx) => suspendSession(tx, refOf(ctx, input), ctx.user.id)),
  ),
  wake: member('developer').mutation(({ ctx, input }) =>
    ctx.withOrg((tx) => wakeByClick(tx, refOf(ctx, input), { actor: ctx.actor, policy: ctx.policy })),
  ),
  stop: member('developer').mutation(({ ctx, input }) => ctx.withOrg((tx) => stopSession(tx, refOf(ctx, input), ctx.user.id))),
  retry: member('developer').mutation(({ ctx, input }) =>
    ctx.withOrg((tx) => retrySession(tx, refOf(ctx, input), { actor: ctx.actor, policy: ctx.policy })),
  ),
  cancelTurn: member('developer').mutation(({ ctx, input }) =>
    ctx.withOrg((tx) => cancelTurn(tx, refOf(ctx, input), ctx.user.id, ctx.services.clock.now())),
  ),

  ...sessionFiles,
});

function refOf(ctx: { org: { id: string } }, input: { sessionId: string }) {
  return { orgId: ctx.org.id, sessionId: input.sessionId };
}
