import { HydrationBoundary } from '@tanstack/react-query';
import type { Metadata } from 'next';
import { RepositoryList } from '../../../components/repository/repository-list.tsx';
import { dehydrated, getServerApi, required } from '../../server-api.ts';

export const metadata: Metadata = { title: 'Repositories' };

export default async function Page({ params }: { params: Promise<{ org: string }> }) {
  const { org } = await params;
  const { queryClient, trpc } = await getServerApi();
  await required(`/${org}/repositories`, queryClient.fetchQuery(trpc.repositories.list.queryOptions({ org })));
  return (
    <HydrationBoundary state={dehydrated(queryClient)}>
      <RepositoryList />
    </HydrationBoundary>
  );
}
