import { z } from 'zod';
import { Prisma } from '../../prisma/generated/client.ts';
import { hashPassword, PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN } from '../auth/password.ts';
import { type Db, type Tx, withOrg } from '../db.ts';
import { AppError } from '../errors.ts';
import { newId } from '../ids.ts';
import { createOrganization, slugCandidate } from './create-organization.ts';

export const emailSchema = z
  .string()
  .trim()
  .toLowerCase()
  .max(254)
  .pipe(z.email('Enter an email address, such as name@example.com.'));

export const signUpSchema = z.object({
  email: emailSchema,
  password: z
    .string()
    .min(PASSWORD_CHARS_MIN, `Use at least ${PASSWORD_CHARS_MIN} characters.`)
    .max(PASSWORD_CHARS_MAX, `Use at most ${PASSWORD_CHARS_MAX} characters.`),
  name: z.string().trim().min(1, 'Enter your name.').max(100),
  orgName: z.string().trim().min(1, 'Enter a name for your organization.').max(100),
});

export type SignUpInput = z.infer<typeof signUpSchema>;
export type SignUpResult = { userId: string; orgId: string; orgSlug: string };

const SLUG_ATTEMPTS_MAX = 20;

/**
 * Creates a person, their organization and their membership as owner, all or nothing.
 *
 * @throws conflict when an account with this email exists
 */
export async function signUp(db: Db, input: SignUpInput): Promise<SignUpResult> {
  const passwordHash = await hashPassword(input.password);
  return createPersonWithOrg(db, { orgName: input.orgName }, async (tx) => {
    const user = { id: newId('user'), email: input.email, name: input.name, passwordHash };
    await tx.user.create({ data: user });
    return user;
  });
}

/** Tries slug after slug, each in a transaction of its own: a unique violation ends the one it happens in. */
export async function createPersonWithOrg(
  db: Db,
  { orgName }: { orgName: string },
  createPerson: (tx: Tx) => Promise<{ id: string; email: string }>,
): Promise<SignUpResult> {
  for (let attempt = 0; attempt < SLUG_ATTEMPTS_MAX; attempt += 1) {
    const orgId = newId('org');
    const slug = slugCandidate(orgName, attempt);
    let email: string | null = null;
    try {
      const userId = await withOrg(db, orgId, async (tx) => {
        const person = await createPerson(tx);
        email = person.email;
        await createOrganization(tx, { orgId, name: orgName, slug, ownerId: person.id });
        return person.id;
      });
      return { userId, orgId, orgSlug: slug };
    } catch (cause) {
      if (!isUniqueViolation(cause)) throw cause;
      // The person's own row failed: the email is set only once that row was written.
      if (email === null) {
        throw new AppError('conflict', {
          publicMessage: 'There is an account with this email already. Sign in, or use another address.',
          details: { field: 'email' },
          cause,
        });
      }
    }
  }
  throw new AppError('conflict', {
    publicMessage: 'Too many organizations have a similar name. Choose another name.',
    details: { field: 'orgName' },
  });
}

function isUniqueViolation(error: unknown): boolean {
  return error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';
}
