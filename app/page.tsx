import { redirect } from 'next/navigation';
import { Landing } from '../components/layout/landing.tsx';
import { getServerApi } from './server-api.ts';

export const dynamic = 'force-dynamic';

export default async function HomePage() {
  const { queryClient, trpc, user } = await getServerApi();
  if (!user) return <Landing />;
  const orgs = await queryClient.fetchQuery(trpc.orgs.list.queryOptions());
  if (orgs[0]) redirect(`/${orgs[0].slug}/sessions`);
  return <Landing withoutOrg />;
}
