import { z } from 'zod';
import { recordAudit } from '../../audit/record.ts';
import type { Tx } from '../../db.ts';
import { AppError, notFound } from '../../errors.ts';
import { repositoryDir } from '../../forge/layout.ts';
import { findCommit, listTree, readFileAt } from '../../repositories/bare-repository.ts';
import { createRepository } from '../../repositories/create-repository.ts';
import { getRepositoryRows, listRepositories, readHead, requireRepository } from '../../repositories/get-repository.ts';
import type { Services } from '../../services.ts';
import { requestTemplate } from '../../templates/request-template.ts';
import { orgProcedure, router } from '../trpc.ts';

export const repoInput = z.object({ repo: z.string().max(100) });

const refInput = repoInput.extend({
  /** Branch or commit; the default branch when absent. */
  ref: z.string().max(200).optional(),
  path: z.string().max(1000).default(''),
});

export const repositoriesRouter = router({
  list: orgProcedure('viewer').query(({ ctx }) => ctx.withOrg(listRepositories)),

  create: orgProcedure('developer')
    .input(z.object({ name: z.string().trim().min(1, 'Give it a name.').max(80), content: z.enum(['sample', 'empty']) }))
    .mutation(async ({ ctx, input }) => {
      const { db, forgeDir, clock } = ctx.services;
      const repository = await createRepository({ db, forgeDir, clock }, { ...input, orgId: ctx.org.id, userId: ctx.user.id });
      // Built while the person looks around, so that the first session finds its template ready. An empty one has nothing to build.
      await requestTemplate({ db, forgeDir }, { orgId: ctx.org.id, repositoryId: repository.id });
      return repository;
    }),

  get: orgProcedure('viewer')
    .input(repoInput)
    .query(async ({ ctx, input }) => {
      const rows = await ctx.withOrg(async (tx) => getRepositoryRows(tx, await requireRepository(tx, input.repo)));
      const gitDir = repositoryDir(ctx.services.forgeDir, ctx.org.id, rows.repository.id);
      const cloneUrl = new URL(`/git/${ctx.org.slug}/${rows.repository.slug}.git`, ctx.services.url).href;
      return { ...rows, ...(await readHead(gitDir, rows.repository.defaultBranch)), cloneUrl };
    }),

  tree: orgProcedure('viewer')
    .input(refInput)
    .query(async ({ ctx, input }) => {
      const at = await locate(ctx, input);
      // An empty repository is a state to show, not an error.
      if (at.empty) return { commitSha: null, path: '', entries: [] };
      const entries = await listTree(at.gitDir, at.commitSha, input.path);
      if (!entries) throw notFound('directory');
      return { commitSha: at.commitSha, path: input.path, entries };
    }),

  file: orgProcedure('viewer')
    .input(refInput)
    .query(async ({ ctx, input }) => {
      const at = await locate(ctx, input);
      const file = at.empty ? null : await readFileAt(at.gitDir, at.commitSha, input.path);
      if (!file) throw notFound('file');
      return file;
    }),

  rebuildTemplate: orgProcedure('developer')
    .input(repoInput)
    .mutation(async ({ ctx, input }) => {
      const repository = await ctx.withOrg((tx) => requireRepository(tx, input.repo));
      const { db, forgeDir } = ctx.services;
      const requested = await requestTemplate(
        { db, forgeDir },
        { orgId: ctx.org.id, repositoryId: repository.id, rebuild: true },
      );
      if (!requested.ok) throw new AppError('bad_request', { publicMessage: requested.problem });
      await ctx.withOrg((tx) =>
        recordAudit(tx, { orgId: ctx.org.id, actor: ctx.user.id, action: 'template.rebuild', target: repository.id }),
      );
      return { templateId: requested.template.id };
    }),

  templateLog: orgProcedure('viewer')
    .input(z.object({ templateId: z.string().max(50) }))
    .query(({ ctx, input }) =>
      ctx.withOrg(async (tx) => {
        const template = await tx.template.findUnique({ where: { id: input.templateId } });
        if (!template) throw notFound('template');
        const { id, state, commitSha, failure, log, createdAt, readyAt } = template;
        return { id, state, commitSha, failure, log, createdAt, readyAt };
      }),
    ),
});

type Located = { empty: true } | { empty: false; gitDir: string; commitSha: string };
type LocateContext = { services: Services; org: { id: string }; withOrg: <T>(fn: (tx: Tx) => Promise<T>) => Promise<T> };

async function locate(ctx: LocateContext, input: { repo: string; ref?: string }): Promise<Located> {
  const repository = await ctx.withOrg((tx) => requireRepository(tx, input.repo));
  const gitDir = repositoryDir(ctx.services.forgeDir, ctx.org.id, repository.id);
  const commitSha = await findCommit(gitDir, input.ref ?? repository.defaultBranch);
  if (commitSha) return { empty: false, gitDir, commitSha };
  if (input.ref === undefined || input.ref === repository.defaultBranch) return { empty: true };
  throw notFound('branch or commit');
}
