import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { databaseTrouble } from '../database-trouble.ts';
import { ERROR_RULES } from '../errors.ts';
import { type GitDeps, handleGit } from '../forge/handle-git.ts';
import { type GatewayDeps, handleModels } from '../gateway/handle-models.ts';
import type { Trouble } from '../realtime/contract.ts';
import { readTrouble, TROUBLE_PATH } from '../realtime/trouble.ts';
import { type AuthorizeDeps, authorizeMachine } from './authorize.ts';
import { outwaitDatabase } from './outwait-database.ts';
import { readBody } from './read-body.ts';
import { sendText } from './respond.ts';

/*
 * The address machines reach through their host's egress proxy: `/git/…` and `/models/…`. It listens on loopback or a private
 * network, knows no cookies and no people, and answers nothing without a valid grant of a live machine. Workers say there what they
 * cannot say through the database.
 */
export type InternalDeps = AuthorizeDeps & GitDeps & GatewayDeps & { onTrouble?: (trouble: Trouble) => void };

const TROUBLE_BYTES_MAX = 4096;

/** A handler for `http.createServer` on the internal port. It answers every request, whatever goes wrong. */
export function createInternalHandler(deps: InternalDeps): RequestListener {
  return (req, res) => {
    handle(deps, req, res).catch((error: unknown) => {
      deps.logger.error({ event: 'internal.failed', err: error, path: pathOf(req) }, 'internal request failed');
      if (res.headersSent) res.destroy();
      else {
        const trouble = databaseTrouble(error);
        if (trouble) sendText(res, ERROR_RULES[trouble.code].http, trouble.publicMessage);
        else sendText(res, 500, 'Warren could not handle the request; its log names the cause.');
      }
    });
  };
}

async function handle(deps: InternalDeps, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const path = pathOf(req);
  if (path === TROUBLE_PATH) return takeTrouble(deps, req, res);
  const area = path.startsWith('/git/') ? 'git' : path.startsWith('/models/') ? 'models' : null;
  const verdict = await outwaitDatabase(
    () => authorizeMachine(deps, req.headers.authorization),
    () => !res.destroyed,
  );
  if (!verdict.ok) {
    deps.logger.info({ event: 'internal.refused', status: verdict.failure.status, path }, verdict.failure.message);
    // Read what was sent, so that the client gets the answer instead of a broken connection.
    req.resume();
    return sendText(res, verdict.failure.status, verdict.failure.message);
  }
  if (area === 'git') return handleGit(deps, verdict.caller, req, res);
  if (area === 'models') return handleModels(deps, verdict.caller, req, res);
  return sendText(res, 404, 'There is nothing at this address.');
}

/** Asks nothing of the database, which is in trouble. */
async function takeTrouble(deps: InternalDeps, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const body = await readBody(req, TROUBLE_BYTES_MAX);
  const trouble = body && readTrouble(deps.grantSecret, req.headers.authorization, body.toString('utf8'));
  if (!trouble) return sendText(res, 401, 'This address is for workers of this installation.');
  deps.onTrouble?.(trouble);
  res.writeHead(204).end();
}

function pathOf(req: IncomingMessage): string {
  return new URL(req.url ?? '/', 'http://internal').pathname;
}
