import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { clientAddress } from '../api/client-address.ts';
import { findTokenHolder, type TokenHolder } from '../auth/access-tokens.ts';
import { GIT_LIMIT, TOKEN_LIMIT, takeAttempt } from '../auth/rate-limit.ts';
import { databaseTrouble } from '../database-trouble.ts';
import { AppError, ERROR_RULES } from '../errors.ts';
import { sendText } from '../internal/respond.ts';
import { decide, parseOrgPolicy } from '../policy/policy.ts';
import { findCommit } from '../repositories/bare-repository.ts';
import { findMembership, type Membership } from '../tenancy/find-membership.ts';
import { type ForgeRepository, findBuiltinRepository } from './find-repository.ts';
import { type GitDeps, parseGitRequest } from './handle-git.ts';
import { type GitHttpCall, serveGitHttp } from './http-backend.ts';
import { repositoryDir } from './layout.ts';
import { recordPersonPush } from './record-person-push.ts';

/*
 * `/git/<org>/<repository>.git/…` on the public address, for people's own git. A personal access token is the password of
 * HTTP's basic authentication, under any user name. Who is not a member learns what they would learn of a repository that
 * does not exist.
 */
export const GIT_PATH = '/git/';
const NOT_THERE = 'This repository does not exist, or you have no access to it.';

/** Answers every request, whatever goes wrong. */
export async function handlePersonGit(deps: GitDeps, req: IncomingMessage, res: ServerResponse): Promise<void> {
  try {
    await answer(deps, req, res);
  } catch (error) {
    // Read what was sent, so that the client gets the answer instead of a broken connection.
    req.resume();
    const known = error instanceof AppError ? error : databaseTrouble(error);
    if (!(error instanceof AppError)) deps.logger.error({ event: 'git.person_failed', err: error }, 'git request failed');
    if (res.headersSent) res.destroy();
    else if (known) sendText(res, ERROR_RULES[known.code].http, known.publicMessage);
    else sendText(res, 500, 'Warren could not handle the request; its log names the cause.');
  }
}

async function answer(deps: GitDeps, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const wanted = parseGitRequest(req);
  if (!wanted) throw new AppError('not_found', { publicMessage: NOT_THERE });
  const holder = await authenticate(deps, req);
  if (!holder) {
    req.resume();
    res.setHeader('www-authenticate', 'Basic realm="Warren", charset="UTF-8"');
    return sendText(res, 401, 'Sign in with a personal access token as the password: make one on your account page.');
  }
  await takeAttempt(deps.db, GIT_LIMIT, [holder.userId], deps.clock.now());
  const membership = await findMembership(deps.db, holder.userId, wanted.orgSlug);
  const repository = membership && (await findBuiltinRepository(deps.db, membership.org.id, { slug: wanted.repoSlug }));
  if (!membership || !repository) throw new AppError('not_found', { publicMessage: NOT_THERE });
  const dir = repositoryDir(deps.forgeDir, membership.org.id, repository.id);
  const call: GitHttpCall = { ...wanted, dir, push: null, defaultRef: `refs/heads/${repository.defaultBranch}` };
  if (wanted.service === 'git-upload-pack') return serve(deps, { req, res, call, holder });
  await servePush(deps, { req, res, call, holder, membership, repository });
}

/** Null without a token; a wrong one counts against the address it comes from. */
async function authenticate({ db, clock }: GitDeps, req: IncomingMessage): Promise<TokenHolder | null> {
  const token = passwordOf(req.headers.authorization);
  if (token === null) return null;
  const now = clock.now();
  const holder = await findTokenHolder(db, token, now);
  if (!holder) await takeAttempt(db, TOKEN_LIMIT, [clientAddress(req.headers['x-forwarded-for'])], now);
  return holder;
}

/** The password of basic authentication, or null. */
export function passwordOf(authorization: string | undefined): string | null {
  const encoded = /^Basic ([A-Za-z0-9+/=]{1,1000})$/i.exec(authorization ?? '')?.[1];
  if (!encoded) return null;
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon === -1 ? null : pair.slice(colon + 1);
}

type Exchange = { req: IncomingMessage; res: ServerResponse; call: GitHttpCall; holder: TokenHolder };

async function serve(deps: GitDeps, { req, res, call, holder }: Exchange): Promise<void> {
  const { exitCode, stderr } = await serveGitHttp(req, res, call);
  if (exitCode === 0 && !stderr) return;
  deps.logger.warn(
    { event: 'git.http', exitCode, stderr, userId: holder.userId, service: call.service },
    'git http-backend complained',
  );
}

type PushExchange = Exchange & { membership: Membership; repository: ForgeRepository };

async function servePush(deps: GitDeps, exchange: PushExchange): Promise<void> {
  const { call, holder, membership, repository } = exchange;
  const { org } = membership;
  const policy = parseOrgPolicy(org.policy);
  const actor = { userId: holder.userId, role: membership.role };
  if (holder.access !== 'write') {
    throw new AppError('forbidden', {
      publicMessage: 'This token may only read. Make one that may also push on your account page.',
    });
  }
  const firstCommit = (await findCommit(call.dir, repository.defaultBranch)) === null;
  const any = decide(actor, policy, { action: 'repository.push', context: { defaultBranch: false, firstCommit } });
  if (!any.allow) throw new AppError('policy_denied', { publicMessage: any.reason });
  const toDefault = decide(actor, policy, { action: 'repository.push', context: { defaultBranch: true, firstCommit } });
  const scratch = await mkdtemp(path.join(tmpdir(), 'warren-push-'));
  try {
    const pushedFile = path.join(scratch, 'refs');
    call.push = { by: 'person', defaultRefusal: toDefault.allow ? null : toDefault.reason, pushedFile };
    call.finish = async () => {
      const moved = await readFile(pushedFile, 'utf8').catch(() => '');
      if (moved === '') return;
      await recordPersonPush(deps, { orgId: org.id, repository, userId: holder.userId, tokenId: holder.tokenId, moved });
    };
    await serve(deps, exchange);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
