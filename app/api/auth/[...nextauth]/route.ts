import { NextRequest } from 'next/server';
import NextAuth from 'next-auth';
import { boundBody } from '../../../../server/api/bound-body.ts';
import { errorResponse } from '../../../../server/api/error-response.ts';
import { createAuthOptions } from '../../../../server/auth/options.ts';
import { loadEnv } from '../../../../server/env.ts';
import { getServices } from '../../../../server/services.ts';

type Context = { params: Promise<{ nextauth: string[] }> };

/** next-auth's forms carry a token and an address to go back to. */
const BODY_BYTES_MAX = 16 * 1024;

// Made at the first request: building the app must not need the environment.
let handle: ((request: Request, context: Context) => Promise<Response>) | null = null;

function handler(request: Request, context: Context): Promise<Response> {
  handle ??= NextAuth(createAuthOptions(getServices(), loadEnv()));
  return handle!(request, context);
}

async function post(request: Request, context: Context): Promise<Response> {
  try {
    return await handler(new NextRequest(await boundBody(request, BODY_BYTES_MAX)), context);
  } catch (error) {
    return errorResponse(error, getServices().logger);
  }
}

export { handler as GET, post as POST };
