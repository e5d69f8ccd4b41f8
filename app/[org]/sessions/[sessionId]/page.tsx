import { HydrationBoundary } from '@tanstack/react-query';
import type { Metadata } from 'next';
import { sessionEventsKey } from '../../../../components/realtime/session-events-key.ts';
import { SessionPage } from '../../../../components/session/session-page.tsx';
import { asAsked, dehydrated, getServerApi, required } from '../../../server-api.ts';

type Props = { params: Promise<{ org: string; sessionId: string }>; searchParams: Promise<{ tab?: string }> };

async function load({ params, searchParams }: Props) {
  const { org, sessionId } = await params;
  const { queryClient, trpc } = await getServerApi();
  const path = asAsked(`/${org}/sessions/${sessionId}`, await searchParams);
  const view = await required(path, queryClient.fetchQuery(trpc.sessions.get.queryOptions({ org, sessionId })));
  return { org, sessionId, queryClient, trpc, view };
}

export async function generateMetadata(props: Props): Promise<Metadata> {
  const { view } = await load(props);
  return { title: view.session.title };
}

export default async function Page(props: Props) {
  const { org, sessionId, queryClient, trpc } = await load(props);
  const timeline = await queryClient.fetchQuery(trpc.sessions.events.queryOptions({ org, sessionId, afterRev: 0 }));
  queryClient.setQueryData(sessionEventsKey(org, sessionId), timeline);
  return (
    <HydrationBoundary state={dehydrated(queryClient)}>
      <SessionPage key={sessionId} sessionId={sessionId} />
    </HydrationBoundary>
  );
}
