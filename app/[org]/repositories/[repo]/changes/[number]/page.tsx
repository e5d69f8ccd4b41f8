import { HydrationBoundary } from '@tanstack/react-query';
import type { Metadata } from 'next';
import { notFound } from 'next/navigation';
import { ChangePage } from '../../../../../../components/change/change-page.tsx';
import { dehydrated, getServerApi, required } from '../../../../../server-api.ts';

type Props = { params: Promise<{ org: string; repo: string; number: string }> };

async function load({ params }: Props) {
  const { org, repo, number } = await params;
  if (!/^[1-9]\d{0,8}$/.test(number)) notFound();
  const { queryClient, trpc } = await getServerApi();
  const input = { org, repo, number: Number(number) };
  const path = `/${org}/repositories/${repo}/changes/${number}`;
  const view = await required(path, queryClient.fetchQuery(trpc.changes.get.queryOptions(input)));
  return { input, queryClient, trpc, view };
}

export async function generateMetadata(props: Props): Promise<Metadata> {
  const { view, input } = await load(props);
  return { title: `#${input.number} ${view.change.title}` };
}

export default async function Page(props: Props) {
  const { input, queryClient, trpc } = await load(props);
  await queryClient.prefetchQuery(trpc.changes.diff.queryOptions(input));
  return (
    <HydrationBoundary state={dehydrated(queryClient)}>
      <ChangePage repositorySlug={input.repo} number={input.number} />
    </HydrationBoundary>
  );
}
