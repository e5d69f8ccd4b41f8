import { HydrationBoundary } from '@tanstack/react-query';
import type { Metadata } from 'next';
import { RepositoryPage } from '../../../../components/repository/repository-page.tsx';
import { dehydrated, getServerApi, required } from '../../../server-api.ts';

type Props = { params: Promise<{ org: string; repo: string }>; searchParams: Promise<{ path?: string }> };

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  return { title: (await params).repo };
}

export default async function Page({ params, searchParams }: Props) {
  const { org, repo } = await params;
  const { path } = await searchParams;
  const { queryClient, trpc } = await getServerApi();
  await required(`/${org}/repositories/${repo}`, queryClient.fetchQuery(trpc.repositories.get.queryOptions({ org, repo })));
  return (
    <HydrationBoundary state={dehydrated(queryClient)}>
      <RepositoryPage slug={repo} path={path ?? ''} />
    </HydrationBoundary>
  );
}
