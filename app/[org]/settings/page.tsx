import { HydrationBoundary } from '@tanstack/react-query';
import type { Metadata } from 'next';
import { SettingsPage } from '../../../components/org/settings-page.tsx';
import { dehydrated, getServerApi, required } from '../../server-api.ts';

export const metadata: Metadata = { title: 'Settings' };

export default async function Page({ params }: { params: Promise<{ org: string }> }) {
  const { org } = await params;
  const { queryClient, trpc } = await getServerApi();
  await required(`/${org}/settings`, queryClient.fetchQuery(trpc.orgs.get.queryOptions({ org })));
  return (
    <HydrationBoundary state={dehydrated(queryClient)}>
      <SettingsPage />
    </HydrationBoundary>
  );
}
