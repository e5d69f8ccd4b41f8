import { z } from 'zod';
import { closeChange } from '../../changes/close.ts';
import { comment, reply, resolveThread } from '../../changes/comment.ts';
import { computeDiff } from '../../changes/compute-diff.ts';
import { getChangeRows, listChanges, placeThreads, readMergeable } from '../../changes/get-change.ts';
import { merge } from '../../changes/merge.ts';
import { requireChange } from '../../changes/require-change.ts';
import { rerunCheck } from '../../checks/rerun-check.ts';
import { AppError, notFound } from '../../errors.ts';
import { repositoryDir } from '../../forge/layout.ts';
import { decide } from '../../policy/policy.ts';
import { requireRepository } from '../../repositories/get-repository.ts';
import { orgProcedure, router } from '../trpc.ts';

const changeInput = z.object({ repo: z.string().max(100), number: z.number().int().min(1).max(1_000_000_000) });
const commitSha = z.string().regex(/^[0-9a-f]{40}$/, 'is not a commit');
const bodySchema = z
  .string()
  .max(20_000, 'A comment has at most 20,000 characters.')
  .refine((text) => text.trim() !== '', 'Write something first.')
  .refine((text) => !text.includes('\0'), 'The text contains a NUL character.');

export const changesRouter = router({
  list: orgProcedure('viewer')
    .input(z.object({ state: z.enum(['open', 'merged', 'closed']).optional() }))
    .query(({ ctx, input }) => ctx.withOrg((tx) => listChanges(tx, { state: input.state }))),

  get: orgProcedure('viewer')
    .input(changeInput)
    .query(async ({ ctx, input }) => {
      const rows = await ctx.withOrg(async (tx) => getChangeRows(tx, await requireRepository(tx, input.repo), input.number));
      const gitDir = repositoryDir(ctx.services.forgeDir, ctx.org.id, rows.repository.id);
      const { requirePassingChecks } = ctx.policy;
      const [threads, mergeable] = await Promise.all([
        placeThreads(gitDir, rows.change.headSha, rows.threads),
        readMergeable(gitDir, { change: rows.change, checks: rows.checks, requirePassingChecks }),
      ]);
      return { ...rows, threads, mergeable };
    }),

  diff: orgProcedure('viewer')
    .input(changeInput)
    .query(async ({ ctx, input }) => {
      const change = await ctx.withOrg(async (tx) => {
        const repository = await requireRepository(tx, input.repo);
        return requireChange(tx, { repositoryId: repository.id, number: input.number });
      });
      return computeDiff(repositoryDir(ctx.services.forgeDir, ctx.org.id, change.repositoryId), change.baseSha, change.headSha);
    }),

  comment: orgProcedure('developer')
    .input(changeInput.extend({ path: z.string().min(1).max(1000), line: z.number().int().min(1), commitSha, body: bodySchema }))
    .mutation(async ({ ctx, input }) => {
      const { id: repositoryId } = await ctx.withOrg((tx) => requireRepository(tx, input.repo));
      const { number, path, line, body } = input;
      const author = { userId: ctx.user.id, name: ctx.user.name };
      return comment(ctx.services, {
        orgId: ctx.org.id,
        repositoryId,
        number,
        path,
        line,
        commitSha: input.commitSha,
        body,
        author,
      });
    }),

  reply: orgProcedure('developer')
    .input(z.object({ threadId: z.string().max(50), body: bodySchema }))
    .mutation(({ ctx, input }) =>
      reply(ctx.services, {
        orgId: ctx.org.id,
        threadId: input.threadId,
        body: input.body,
        author: { userId: ctx.user.id, name: ctx.user.name },
      }),
    ),

  resolve: orgProcedure('developer')
    .input(z.object({ threadId: z.string().max(50), resolved: z.boolean() }))
    .mutation(({ ctx, input }) =>
      ctx.withOrg((tx) =>
        resolveThread(tx, { threadId: input.threadId, resolved: input.resolved, now: ctx.services.clock.now() }),
      ),
    ),

  checkLog: orgProcedure('viewer')
    .input(z.object({ checkId: z.string().max(50) }))
    .query(({ ctx, input }) =>
      ctx.withOrg(async (tx) => {
        const check = await tx.check.findUnique({ where: { id: input.checkId } });
        if (!check) throw notFound('check');
        const { id, name, command, state, exitCode, log, startedAt, finishedAt } = check;
        return { id, name, command, state, exitCode, log, startedAt, finishedAt };
      }),
    ),

  rerunCheck: orgProcedure('developer')
    .input(z.object({ checkId: z.string().max(50) }))
    .mutation(({ ctx, input }) =>
      ctx.withOrg((tx) => rerunCheck(tx, { orgId: ctx.org.id, checkId: input.checkId, userId: ctx.user.id })),
    ),

  merge: orgProcedure('developer')
    .input(changeInput.extend({ expectedHeadSha: commitSha }))
    .mutation(async ({ ctx, input }) => {
      const decision = decide(ctx.actor, ctx.policy, { action: 'change.merge', context: {} });
      if (!decision.allow) throw new AppError('policy_denied', { publicMessage: decision.reason });
      const { id: repositoryId } = await ctx.withOrg((tx) => requireRepository(tx, input.repo));
      return merge(ctx.services, {
        orgId: ctx.org.id,
        repositoryId,
        number: input.number,
        expectedHeadSha: input.expectedHeadSha,
        requirePassingChecks: ctx.policy.requirePassingChecks,
        person: { userId: ctx.user.id, name: ctx.user.name, email: ctx.user.email },
      });
    }),

  close: orgProcedure('developer')
    .input(changeInput)
    .mutation(async ({ ctx, input }) => {
      const { id: repositoryId } = await ctx.withOrg((tx) => requireRepository(tx, input.repo));
      await closeChange(ctx.services, { orgId: ctx.org.id, repositoryId, number: input.number, userId: ctx.user.id });
    }),
});
