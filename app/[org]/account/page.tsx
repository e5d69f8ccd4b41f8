import { HydrationBoundary } from '@tanstack/react-query';
import type { Metadata } from 'next';
import { AccountPage } from '../../../components/account/account-page.tsx';
import { dehydrated, getServerApi, required } from '../../server-api.ts';

export const metadata: Metadata = { title: 'Account' };

export default async function Page({ params }: { params: Promise<{ org: string }> }) {
  const { org } = await params;
  const { queryClient, trpc } = await getServerApi();
  const path = `/${org}/account`;
  await Promise.all([
    required(path, queryClient.fetchQuery(trpc.account.me.queryOptions())),
    required(path, queryClient.fetchQuery(trpc.account.tokens.queryOptions())),
  ]);
  return (
    <HydrationBoundary state={dehydrated(queryClient)}>
      <AccountPage />
    </HydrationBoundary>
  );
}
