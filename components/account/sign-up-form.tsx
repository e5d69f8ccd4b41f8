'use client';
import { useMutation } from '@tanstack/react-query';
import Link from 'next/link';
import { type FormEvent, useState } from 'react';
import { type ApiError, useTRPC } from '../api/trpc.ts';
import { Button } from '../ui/button.tsx';
import { TextField } from '../ui/field.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { GitHubButton } from './github-button.tsx';
import { signInWithPassword } from './sign-in.ts';

const FIELDS = ['name', 'email', 'password', 'orgName'] as const;
type FieldErrors = Partial<Record<(typeof FIELDS)[number], string>>;

/** What the server says about single fields: its validation's issues, or the field of a conflict. */
function fieldErrors(error: ApiError): FieldErrors {
  const details = error.data?.details as { field?: string; issues?: { path: PropertyKey[]; message: string }[] } | undefined;
  const found = details?.field ? [{ path: [details.field], message: error.message }] : (details?.issues ?? []);
  const known = found.filter(({ path }) => (FIELDS as readonly PropertyKey[]).includes(path[0] ?? ''));
  return Object.fromEntries(known.toReversed().map(({ path, message }) => [path[0], message]));
}

export function SignUpForm({ hasGitHub }: { hasGitHub: boolean }) {
  const trpc = useTRPC();
  const signUp = useMutation(trpc.account.signUp.mutationOptions());
  const [errors, setErrors] = useState<FieldErrors>({});
  const [failure, setFailure] = useState<string | null>(null);
  const [entering, setEntering] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    const value = (name: string) => String(data.get(name) ?? '');
    const input = { name: value('name'), email: value('email'), password: value('password'), orgName: value('orgName') };
    setErrors({});
    setFailure(null);
    try {
      const { orgSlug } = await signUp.mutateAsync(input);
      setEntering(true);
      const problem = await signInWithPassword(input.email, input.password);
      window.location.assign(problem === null ? `/${orgSlug}/sessions` : '/sign-in');
    } catch (cause) {
      const byField = fieldErrors(cause as ApiError);
      setErrors(byField);
      const first = FIELDS.find((name) => byField[name]);
      if (first) form.querySelector<HTMLInputElement>(`[name=${first}]`)?.focus();
      else setFailure((cause as Error).message);
    }
  }

  return (
    <>
      <h1 className="font-semibold text-xl tracking-tight">Sign up</h1>
      <p className="mt-1 text-muted">You get an organization of your own; sessions and repositories belong to it.</p>
      <form method="post" noValidate onSubmit={submit} className="mt-6 flex flex-col gap-4">
        {failure && <ErrorNote error={failure} />}
        <TextField label="Name" name="name" autoComplete="name" autoFocus error={errors.name} />
        <TextField label="Email" name="email" type="email" autoComplete="username" error={errors.email} />
        <TextField
          label="Password"
          name="password"
          type="password"
          autoComplete="new-password"
          hint="At least 10 characters."
          error={errors.password}
        />
        <TextField
          label="Organization"
          name="orgName"
          autoComplete="organization"
          hint="Your team or company."
          error={errors.orgName}
        />
        <Button type="submit" variant="primary" size="lg" busy={signUp.isPending || entering} className="mt-1">
          Sign up
        </Button>
      </form>
      {hasGitHub && <GitHubButton next="/" />}
      <p className="mt-6 text-muted">
        Have an account?{' '}
        <Link href="/sign-in" className="text-accent underline underline-offset-2">
          Sign in
        </Link>
      </p>
    </>
  );
}
