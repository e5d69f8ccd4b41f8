import { z } from 'zod';
import { boundBody } from '../api/bound-body.ts';
import { clientAddress } from '../api/client-address.ts';
import { errorResponse } from '../api/error-response.ts';
import { AppError } from '../errors.ts';
import { emailSchema } from '../orgs/sign-up.ts';
import type { Services } from '../services.ts';
import { requireOwnOrigin } from './origin.ts';
import { PASSWORD_CHARS_MAX, verifyPassword } from './password.ts';
import { returnAttempt, SIGN_IN_ADDRESS_LIMIT, SIGN_IN_LIMIT, takeAttempt } from './rate-limit.ts';
import { createAuthSession, sessionCookie } from './session.ts';

const bodySchema = z.object({ email: emailSchema, password: z.string().min(1).max(PASSWORD_CHARS_MAX) });

const BODY_BYTES_MAX = 16 * 1024;

// One sentence for both, so that it cannot be used to ask who has an account.
const WRONG = 'Email or password is wrong.';

/**
 * POST /api/auth/password with JSON `{email, password}`: makes a database session and sets the cookie next-auth reads.
 * Answers `{ok: true}`, or `{error: {code, message}}`.
 */
export async function handlePasswordSignIn(services: Services, request: Request): Promise<Response> {
  try {
    requireOwnOrigin(request.headers, services.url);
    const bounded = await boundBody(request, BODY_BYTES_MAX);
    const body = bodySchema.safeParse(await bounded.json().catch(() => null));
    if (!body.success) throw new AppError('unauthorized', { publicMessage: WRONG });
    const userId = await checkPassword(services, body.data, clientAddress(request.headers.get('x-forwarded-for')));
    const session = await createAuthSession(services.db, userId, services.clock.now());
    services.logger.info({ event: 'auth.sign_in', userId }, 'signed in');
    return Response.json({ ok: true }, { headers: { 'set-cookie': sessionCookie(services.url, session) } });
  } catch (err) {
    return errorResponse(err, services.logger);
  }
}

/** Only failures use up attempts, so a person who knows the password is never kept out by their own sign-ins. */
async function checkPassword(
  { db, clock }: Services,
  { email, password }: z.infer<typeof bodySchema>,
  address: string,
): Promise<string> {
  const now = clock.now();
  await takeAttempt(db, SIGN_IN_ADDRESS_LIMIT, [address], now);
  await takeAttempt(db, SIGN_IN_LIMIT, [address, email], now);
  const user = await db.people.user.findUnique({ where: { email } });
  const isRight = await verifyPassword(password, user?.passwordHash ?? null);
  if (!user || !isRight) throw new AppError('unauthorized', { publicMessage: WRONG });
  await returnAttempt(db, SIGN_IN_ADDRESS_LIMIT, [address]);
  await returnAttempt(db, SIGN_IN_LIMIT, [address, email]);
  return user.id;
}
