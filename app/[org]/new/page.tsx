import { HydrationBoundary } from '@tanstack/react-query';
import type { Metadata } from 'next';
import { NewSession } from '../../../components/session/new-session.tsx';
import { dehydrated, getServerApi, required } from '../../server-api.ts';

export const metadata: Metadata = { title: 'New session' };

type Props = { params: Promise<{ org: string }>; searchParams: Promise<{ repo?: string }> };

export default async function Page({ params, searchParams }: Props) {
  const { org } = await params;
  const { repo } = await searchParams;
  const { queryClient, trpc } = await getServerApi();
  await required(`/${org}/new`, queryClient.fetchQuery(trpc.repositories.list.queryOptions({ org })));
  return (
    <HydrationBoundary state={dehydrated(queryClient)}>
      <NewSession initialRepository={repo ?? null} />
    </HydrationBoundary>
  );
}
