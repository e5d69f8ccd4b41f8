import { PrismaAdapter } from '@next-auth/prisma-adapter';
import type { Adapter, AdapterUser } from 'next-auth/adapters';
import type { Db } from '../db.ts';
import { newId } from '../ids.ts';
import { createPersonWithOrg } from '../orgs/sign-up.ts';

type AdapterClient = Parameters<typeof PrismaAdapter>[0];

/**
 * next-auth's storage over our tables. Its `session` is our AuthSession (a session is something else here), and a person
 * who first comes through a provider gets an organization, as one who signs up does.
 */
export function createAuthAdapter(db: Db): Adapter {
  const { user, account, authSession, verificationToken } = db.people;
  // Its types ask for a whole client of the old generator; these four tables are all it touches.
  const client = { user, account, session: authSession, verificationToken } as unknown as AdapterClient;
  return {
    ...(PrismaAdapter(client) as Adapter),
    createUser: async (person: Omit<AdapterUser, 'id'>) => {
      const created = { id: newId('user'), name: person.name, email: person.email, emailVerified: null, image: person.image };
      await createPersonWithOrg(db, { orgName: person.name ?? person.email.split('@')[0] ?? 'My organization' }, async (tx) => {
        await tx.user.create({ data: created });
        return created;
      });
      return created;
    },
  };
}
