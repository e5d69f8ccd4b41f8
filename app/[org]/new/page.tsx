import { HydrationBoundary } from '@tanstack/react-query';
import type { Metadata } from 'next';
import { NewSession } from '../../../components/session/new-session.tsx';
import { asAsked, dehydrated, getServerApi, required } from '../../server-api.ts';

export const metadata: Metadata = { title: 'New session' };

type Props = { params: Promise<{ org: string }>; searchParams: Promise<{ repo?: string }> };

export default async function Page({ params, searchParams }: Props) {
  const { org } = await params;
  const query = await searchParams;
  const { queryClient, trpc } = await getServerApi();
  await required(asAsked(`/${org}/new`, query), queryClient.fetchQuery(trpc.repositories.list.queryOptions({ org })));
  return (
    <HydrationBoundary state={dehydrated(queryClient)}>
      <NewSession initialRepository={query.repo ?? null} />
    </HydrationBoundary>
  );
}
