import type { IncomingMessage, ServerResponse } from 'node:http';
import { recordPush } from '../changes/record-push.ts';
import type { Clock } from '../clock.ts';
import { type Db, withOrg } from '../db.ts';
import type { MachineCaller } from '../internal/authorize.ts';
import { sendText } from '../internal/respond.ts';
import type { Logger } from '../logger.ts';
import { acceptsInput } from '../sessions/states.ts';
import { findBuiltinRepository } from './find-repository.ts';
import { GIT_SERVICES, type GitHttpCall, type GitService, serveGitHttp } from './http-backend.ts';
import { repositoryDir } from './layout.ts';
import { isBranchName } from './refs.ts';

export type GitDeps = { db: Db; forgeDir: string; clock: Clock; logger: Logger };

type GitRequest = { orgSlug: string; repoSlug: string; path: GitHttpCall['path']; service: GitService };

/** Answers `/git/<org>/<repository>.git/…` for a machine: only its own repository, and pushes only from a session. */
export async function handleGit(deps: GitDeps, caller: MachineCaller, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const wanted = parseGitRequest(req);
  const { grant } = caller;
  const repository =
    wanted && wanted.orgSlug === caller.orgSlug
      ? await findBuiltinRepository(deps.db, grant.orgId, { slug: wanted.repoSlug, id: grant.repositoryId })
      : null;
  if (!wanted || !repository) {
    req.resume();
    return sendText(res, 404, 'This repository does not exist, or this machine has no access to it.');
  }
  const pushing = wanted.service === 'git-receive-pack';
  const refusal = pushing ? await refusePush(deps.db, caller) : null;
  if (refusal) {
    req.resume();
    return sendText(res, 403, refusal);
  }
  const call: GitHttpCall = {
    dir: repositoryDir(deps.forgeDir, grant.orgId, grant.repositoryId),
    path: wanted.path,
    service: wanted.service,
    push: pushing ? { by: 'session', allowedRef: `refs/heads/${grant.branch}` } : null,
    defaultRef: `refs/heads/${repository.defaultBranch}`,
  };
  // The look before a push also records one whose record was lost, when the process died right after git had taken it.
  if (pushing)
    call.finish = () => recordPush(deps, { orgId: grant.orgId, sessionId: grant.sessionId ?? '' }).then(() => undefined);
  const { exitCode, stderr } = await serveGitHttp(req, res, call);
  if (exitCode !== 0 || stderr) {
    deps.logger.warn(
      { event: 'git.http', exitCode, stderr, machineId: grant.machineId, service: wanted.service },
      'git http-backend complained',
    );
  }
}

/** Null for everything but the three addresses of the smart protocol. */
export function parseGitRequest(req: Pick<IncomingMessage, 'url' | 'method'>): GitRequest | null {
  const url = new URL(req.url ?? '/', 'http://internal');
  const match = /^\/git\/([a-z0-9-]{1,100})\/([a-z0-9._-]{1,100})\.git\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(
    url.pathname,
  );
  if (!match) return null;
  const [, orgSlug = '', repoSlug = '', path = ''] = match;
  const service = path === 'info/refs' ? url.searchParams.get('service') : path;
  const known = GIT_SERVICES.find((name) => name === service);
  if (!known || req.method !== (path === 'info/refs' ? 'GET' : 'POST')) return null;
  return { orgSlug, repoSlug, path: path === 'info/refs' ? path : known, service: known };
}

async function refusePush(db: Db, { grant }: MachineCaller): Promise<string | null> {
  if (grant.purpose !== 'session' || !grant.sessionId || !grant.branch || !isBranchName(grant.branch)) {
    return `This machine belongs to a ${grant.purpose} and may only read the repository.`;
  }
  const session = await withOrg(db, grant.orgId, (tx) => tx.session.findUnique({ where: { id: grant.sessionId } }));
  if (!session || session.branch !== grant.branch || !acceptsInput(session.state)) {
    return 'The session has ended; nothing more can be pushed from it.';
  }
  return null;
}
