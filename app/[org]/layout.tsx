import { HydrationBoundary } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { OrgShell } from '../../components/layout/org-shell.tsx';
import { dehydrated, getServerApi, required } from '../server-api.ts';

export const dynamic = 'force-dynamic';

type Props = { children: ReactNode; params: Promise<{ org: string }> };

export default async function OrgLayout({ children, params }: Props) {
  const { org } = await params;
  const { queryClient, trpc, user } = await getServerApi();
  // The page sends them to sign in: it knows where they wanted to go.
  if (!user) return children;
  const home = `/${org}/sessions`;
  const [me, { role, org: organization, model, weakIsolation }] = await Promise.all([
    required(home, queryClient.fetchQuery(trpc.account.me.queryOptions())),
    required(home, queryClient.fetchQuery(trpc.orgs.get.queryOptions({ org }))),
    required(home, queryClient.fetchQuery(trpc.sessions.list.queryOptions({ org }))),
  ]);
  return (
    <HydrationBoundary state={dehydrated(queryClient)}>
      <OrgShell
        org={{ id: organization.id, slug: organization.slug, name: organization.name }}
        role={role}
        user={me.user}
        orgs={me.orgs}
        model={model}
        weakIsolation={weakIsolation}
      >
        {children}
      </OrgShell>
    </HydrationBoundary>
  );
}
