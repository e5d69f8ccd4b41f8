import NextAuth from 'next-auth';
import { createAuthOptions } from '../../../../server/auth/options.ts';
import { loadEnv } from '../../../../server/env.ts';
import { getServices } from '../../../../server/services.ts';

type Context = { params: Promise<{ nextauth: string[] }> };

// Made at the first request: building the app must not need the environment.
let handle: ((request: Request, context: Context) => Promise<Response>) | null = null;

function handler(request: Request, context: Context): Promise<Response> {
  handle ??= NextAuth(createAuthOptions(getServices(), loadEnv()));
  return handle!(request, context);
}

export { handler as GET, handler as POST };
