import { randomUUID } from 'node:crypto';
import { TRPCError } from '@trpc/server';
import { fetchRequestHandler } from '@trpc/server/adapters/fetch';
import { requireOwnOrigin } from '../auth/origin.ts';
import { findSignedInUser, readSessionToken } from '../auth/session.ts';
import { AppError } from '../errors.ts';
import type { Services } from '../services.ts';
import { clientAddress } from './client-address.ts';
import { toTrpcError } from './report-error.ts';
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
    clientAddress: clientAddress(headers.get('x-forwarded-for')),
    log: services.logger.child({ requestId, userId: user?.id }),
  };
}

/** All of tRPC over HTTP, for the route handler at API_PATH. */
export function handleTrpc(services: Services, request: Request): Promise<Response> {
  return fetchRequestHandler({
    endpoint: API_PATH,
    req: request,
    router: appRouter,
    createContext: async () => {
      const { headers, method } = request;
      if (method !== 'GET') requireAcceptable(headers, services);
      return createContext(services, headers).catch((cause: unknown) => {
        throw asRefusal(cause, services);
      });
    },
  });
}

/** Refusals of the whole request, as tRPC errors so that the client reads them like any other. */
function requireAcceptable(headers: Headers, { url, logger }: Services): void {
  try {
    requireOwnOrigin(headers, url);
    if (Number(headers.get('content-length') ?? 0) > BODY_BYTES_MAX) {
      throw new AppError('too_large', { publicMessage: 'The request is larger than 4 MiB.' });
    }
  } catch (cause) {
    throw asRefusal(cause, { logger });
  }
}

function asRefusal(cause: unknown, { logger }: Pick<Services, 'logger'>): TRPCError {
  return toTrpcError(new TRPCError({ code: 'INTERNAL_SERVER_ERROR', cause }), { log: logger, path: API_PATH });
}
