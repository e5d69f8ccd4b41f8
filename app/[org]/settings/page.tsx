import { HydrationBoundary } from '@tanstack/react-query';
import type { Metadata } from 'next';
import { SettingsPage } from '../../../components/org/settings-page.tsx';
import { asAsked, dehydrated, getServerApi, required } from '../../server-api.ts';

export const metadata: Metadata = { title: 'Settings' };

type Props = { params: Promise<{ org: string }>; searchParams: Promise<{ tab?: string }> };

export default async function Page({ params, searchParams }: Props) {
  const { org } = await params;
  const { queryClient, trpc } = await getServerApi();
  const address = asAsked(`/${org}/settings`, await searchParams);
  await required(address, queryClient.fetchQuery(trpc.orgs.get.queryOptions({ org })));
  return (
    <HydrationBoundary state={dehydrated(queryClient)}>
      <SettingsPage />
    </HydrationBoundary>
  );
}
