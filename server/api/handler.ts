import { randomUUID } from 'node:crypto';
import { TRPCError } from '@trpc/server';
import { fetchRequestHandler } from '@trpc/server/adapters/fetch';
import { requireOwnOrigin } from '../auth/origin.ts';
import { findSignedInUser, readSessionToken } from '../auth/session.ts';
import type { Services } from '../services.ts';
import { boundBody } from './bound-body.ts';
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
export async function handleTrpc(services: Services, request: Request): Promise<Response> {
  const refuse = (cause: unknown) => asRefusal(cause, services);
  const accepted = await accept(services, request).catch(refuse);
  return fetchRequestHandler({
    endpoint: API_PATH,
    req: accepted instanceof TRPCError ? request : accepted,
    router: appRouter,
    createContext: async () => {
      // Refusals of the whole request, as tRPC errors so that the client reads them like any other.
      if (accepted instanceof TRPCError) throw accepted;
      return createContext(services, request.headers).catch((cause: unknown) => {
        throw refuse(cause);
      });
    },
  });
}

async function accept({ url }: Services, request: Request): Promise<Request> {
  if (request.method === 'GET') return request;
  requireOwnOrigin(request.headers, url);
  return boundBody(request, BODY_BYTES_MAX);
}

function asRefusal(cause: unknown, { logger }: Pick<Services, 'logger'>): TRPCError {
  return toTrpcError(new TRPCError({ code: 'INTERNAL_SERVER_ERROR', cause }), { log: logger, path: API_PATH });
}
