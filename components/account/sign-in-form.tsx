'use client';
import Link from 'next/link';
import { type FormEvent, useState } from 'react';
import { Button } from '../ui/button.tsx';
import { TextField } from '../ui/field.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { GitHubButton } from './github-button.tsx';
import { signInWithPassword } from './sign-in.ts';

type Props = {
  next: string;
  hasGitHub: boolean;
  /** Where `npm start` made a demo organization. Its password stays in the terminal. */
  demoEmail: string | null;
  providerError: string | null;
};

export function SignInForm({ next, hasGitHub, demoEmail, providerError }: Props) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(providerError && describeProviderError(providerError));
  const [missing, setMissing] = useState<{ email?: string; password?: string }>({});

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    const email = String(data.get('email')).trim();
    const password = String(data.get('password'));
    const empty = {
      ...(email === '' && { email: 'Enter your email address.' }),
      ...(password === '' && { password: 'Enter your password.' }),
    };
    setMissing(empty);
    setError(null);
    if (email === '' || password === '') {
      form.querySelector<HTMLInputElement>(email === '' ? '[name=email]' : '[name=password]')?.focus();
      return;
    }
    setBusy(true);
    const problem = await signInWithPassword(email, password);
    if (problem === null) {
      // A full load, so that nothing of a previous person is left in memory.
      window.location.assign(next);
      return;
    }
    setBusy(false);
    setError(problem);
    form.querySelector<HTMLInputElement>('[name=password]')?.select();
  }

  return (
    <>
      <h1 className="font-semibold text-xl tracking-tight">Sign in</h1>
      {demoEmail && (
        <p className="mt-4 rounded-md border border-line px-3 py-2 text-muted">
          Demo installation: sign in as <code>{demoEmail}</code> with the password that <code>npm start</code> printed.
        </p>
      )}
      <form method="post" noValidate onSubmit={submit} className="mt-6 flex flex-col gap-4">
        {error && <ErrorNote error={error} />}
        <TextField label="Email" name="email" type="email" autoComplete="username" autoFocus error={missing.email} />
        <TextField label="Password" name="password" type="password" autoComplete="current-password" error={missing.password} />
        <Button type="submit" variant="primary" size="lg" busy={busy} className="mt-1">
          Sign in
        </Button>
      </form>
      {hasGitHub && <GitHubButton next={next} />}
      <p className="mt-6 text-muted">
        New here?{' '}
        <Link href="/sign-up" className="text-accent underline underline-offset-2">
          Sign up
        </Link>
      </p>
    </>
  );
}

function describeProviderError(code: string): string {
  if (code === 'OAuthAccountNotLinked') {
    return 'There is an account with this email already. Sign in with its password.';
  }
  return 'Signing in with GitHub did not work. Try again, or use your password.';
}
