import { HydrationBoundary } from '@tanstack/react-query';
import type { Metadata } from 'next';
import { SessionList } from '../../../components/session/session-list.tsx';
import { dehydrated, getServerApi, required } from '../../server-api.ts';

export const metadata: Metadata = { title: 'Sessions' };

export default async function Page({ params }: { params: Promise<{ org: string }> }) {
  const { org } = await params;
  const { queryClient, trpc } = await getServerApi();
  await required(`/${org}/sessions`, queryClient.fetchQuery(trpc.sessions.list.queryOptions({ org })));
  return (
    <HydrationBoundary state={dehydrated(queryClient)}>
      <SessionList />
    </HydrationBoundary>
  );
}
