import type { Metadata } from 'next';
import { redirect } from 'next/navigation';
import { safeNext } from '../../../components/account/safe-next.ts';
import { SignInForm } from '../../../components/account/sign-in-form.tsx';
import { loadEnv } from '../../../server/env.ts';
import { getRequestContext } from '../../server-api.ts';

export const metadata: Metadata = { title: 'Sign in' };
export const dynamic = 'force-dynamic';

type Props = { searchParams: Promise<{ next?: string | string[]; error?: string }> };

export default async function SignInPage({ searchParams }: Props) {
  const { next, error } = await searchParams;
  const { user } = await getRequestContext();
  if (user) redirect(safeNext(next));
  const env = loadEnv();
  return (
    <SignInForm
      next={safeNext(next)}
      hasGitHub={Boolean(env.GITHUB_ID)}
      demoEmail={env.WARREN_DEMO_EMAIL ?? null}
      providerError={error ?? null}
    />
  );
}
