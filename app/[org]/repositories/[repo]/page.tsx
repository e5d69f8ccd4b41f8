import { HydrationBoundary } from '@tanstack/react-query';
import type { Metadata } from 'next';
import { RepositoryPage } from '../../../../components/repository/repository-page.tsx';
import { asAsked, dehydrated, getServerApi, required } from '../../../server-api.ts';

type Props = { params: Promise<{ org: string; repo: string }>; searchParams: Promise<{ path?: string; file?: string }> };

export async function generateMetadata({ params }: Props): Promise<Metadata> {
  return { title: (await params).repo };
}

export default async function Page({ params, searchParams }: Props) {
  const { org, repo } = await params;
  const query = await searchParams;
  const { path = '', file = null } = query;
  const { queryClient, trpc } = await getServerApi();
  const address = asAsked(`/${org}/repositories/${repo}`, query);
  await required(address, queryClient.fetchQuery(trpc.repositories.get.queryOptions({ org, repo })));
  const shown = { org, repo, path: file ?? path };
  if (file === null) await queryClient.prefetchQuery(trpc.repositories.tree.queryOptions(shown));
  else await queryClient.prefetchQuery(trpc.repositories.file.queryOptions(shown));
  return (
    <HydrationBoundary state={dehydrated(queryClient)}>
      <RepositoryPage slug={repo} path={path} file={file} />
    </HydrationBoundary>
  );
}
