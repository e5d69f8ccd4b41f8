import { randomUUID } from 'node:crypto';
import { fetchRequestHandler } from '@trpc/server/adapters/fetch';
import { requireOwnOrigin } from '../auth/origin.ts';
import { findSignedInUser, readSessionToken } from '../auth/session.ts';
import { AppError } from '../errors.ts';
import type { Services } from '../services.ts';
import { clientAddress } from './client-address.ts';
import { errorResponse } from './error-response.ts';
import { appRouter } from './root.ts';
import type { Context } from './trpc.ts';

export const API_PATH = '/api/trpc';
/** Of a whole request; prompts have a lower limit of their own. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

export async function createContext(services: Services, headers: Headers): Promise<Context> {
  const requestId = `req_${randomUUID().replaceAll('-', '')}`;
  const user = await findSignedInUser(services.db, readSessionToken(headers.get('cookie'), services.url), services.clock.now());
  return {
    services,
    user,
    requestId,
    clientAddress: clientAddress(headers),
    log: services.logger.child({ requestId, userId: user?.id }),
  };
}

/** All of tRPC over HTTP, for the route handler at API_PATH. */
export async function handleTrpc(services: Services, request: Request): Promise<Response> {
  try {
    if (request.method !== 'GET') requireOwnOrigin(request.headers, services.url);
    if (Number(request.headers.get('content-length') ?? 0) > BODY_BYTES_MAX) {
      throw new AppError('too_large', { publicMessage: 'The request is larger than 4 MiB.' });
    }
  } catch (err) {
    return errorResponse(err, services.logger);
  }
  return fetchRequestHandler({
    endpoint: API_PATH,
    req: request,
    router: appRouter,
    createContext: () => createContext(services, request.headers),
  });
}
