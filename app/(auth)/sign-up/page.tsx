import type { Metadata } from 'next';
import { redirect } from 'next/navigation';
import { SignUpForm } from '../../../components/account/sign-up-form.tsx';
import { loadEnv } from '../../../server/env.ts';
import { getRequestContext } from '../../server-api.ts';

export const metadata: Metadata = { title: 'Sign up' };
export const dynamic = 'force-dynamic';

export default async function SignUpPage() {
  const { user } = await getRequestContext();
  if (user) redirect('/');
  return <SignUpForm hasGitHub={Boolean(loadEnv().GITHUB_ID)} />;
}
