import { accountRouter } from './routers/account.ts';
import { changesRouter } from './routers/changes.ts';
import { egressRouter } from './routers/egress.ts';
import { orgsRouter } from './routers/orgs.ts';
import { repositoriesRouter } from './routers/repositories.ts';
import { secretsRouter } from './routers/secrets.ts';
import { sessionsRouter } from './routers/sessions.ts';
import { createCallerFactory, router } from './trpc.ts';

export const appRouter = router({
  account: accountRouter,
  changes: changesRouter,
  egress: egressRouter,
  orgs: orgsRouter,
  repositories: repositoriesRouter,
  secrets: secretsRouter,
  sessions: sessionsRouter,
});

export type AppRouter = typeof appRouter;

/** Calls procedures without HTTP, for server components and tests. */
export const createCaller = createCallerFactory(appRouter);
