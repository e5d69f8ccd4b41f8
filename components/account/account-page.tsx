'use client';
import { useQuery } from '@tanstack/react-query';
import Link from 'next/link';
import { useTRPC } from '../api/trpc.ts';
import { PageHeader } from '../layout/page-header.tsx';
import { Section } from '../org/section.tsx';
import { Badge } from '../ui/badge.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { AccessTokens } from './access-tokens.tsx';

/** Who the person is here, and what their own programs sign in with. */
export function AccountPage() {
  const trpc = useTRPC();
  const me = useQuery(trpc.account.me.queryOptions());
  if (me.isPending) return <Loading label="Loading your account" />;
  if (!me.data) return <ErrorNote error={me.error} className="m-4" />;
  const { user, orgs } = me.data;
  return (
    <>
      <PageHeader title="Account" />
      <div className="mx-auto max-w-4xl px-4 py-5 md:px-6">
        <Section title="You">
          <p className="mt-2 font-medium">{user.name}</p>
          <p className="break-words text-muted">{user.email}</p>
        </Section>
        <AccessTokens />
        <Section title="Organizations">
          <ul className="mt-3 divide-y rounded-lg border bg-surface">
            {orgs.map(({ slug, name, role }) => (
              <li key={slug} className="flex items-center gap-3 px-3 py-2">
                <Link href={`/${slug}/sessions`} className="min-w-0 flex-1 truncate font-medium hover:underline">
                  {name}
                </Link>
                <Badge>{role}</Badge>
              </li>
            ))}
          </ul>
        </Section>
      </div>
    </>
  );
}
