'use client';
import { useMutation, useQuery } from '@tanstack/react-query';
import { FolderGit2 } from 'lucide-react';
import { useRouter } from 'next/navigation';
import { type FormEvent, type KeyboardEvent, useState } from 'react';
import { useTRPC } from '../api/trpc.ts';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { PageHeader } from '../layout/page-header.tsx';
import { Button, ButtonLink } from '../ui/button.tsx';
import { SelectField, TextArea } from '../ui/field.tsx';
import { EmptyState, ErrorNote } from '../ui/notes.tsx';
import { byteLength, PromptSize } from './prompt-size.tsx';
import { SCRIPTED_HINT, ScriptedBadge } from './status.tsx';

export function NewSession({ initialRepository }: { initialRepository: string | null }) {
  const { org } = useOrg();
  const canWrite = useCanWrite();
  const trpc = useTRPC();
  const repositories = useQuery(trpc.repositories.list.queryOptions({ org: org.slug }));
  const found = repositories.data ?? [];
  return (
    <>
      <PageHeader title="New session" />
      {repositories.error && <ErrorNote error={repositories.error} className="m-4" />}
      {!canWrite && (
        <EmptyState title="Sessions are started by developers">You are a viewer here: you can read everything.</EmptyState>
      )}
      {canWrite && repositories.isSuccess && found.length === 0 && (
        <EmptyState
          icon={<FolderGit2 />}
          title="A session works on a repository"
          action={
            <ButtonLink href={`/${org.slug}/repositories`} variant="primary">
              Create a repository
            </ButtonLink>
          }
        >
          Create one first. There is a small sample that shows everything.
        </EmptyState>
      )}
      {canWrite && found.length > 0 && <Form repositories={found} initialRepository={initialRepository} />}
    </>
  );
}

type FormProps = { repositories: { slug: string; name: string }[]; initialRepository: string | null };

/** What the sample repository needs: its tests and its types do not pass. */
const SAMPLE_TASK =
  'The tests of this repository fail. Find out why, fix the code (not the tests), run the tests again, commit and push.';

function Form({ repositories, initialRepository }: FormProps) {
  const { org, model } = useOrg();
  const router = useRouter();
  const trpc = useTRPC();
  const details = useQuery(trpc.orgs.get.queryOptions({ org: org.slug })).data;
  const [repo, setRepo] = useState(
    repositories.some(({ slug }) => slug === initialRepository) ? initialRepository! : repositories[0]!.slug,
  );
  const [prompt, setPrompt] = useState('');
  const [missing, setMissing] = useState<string | null>(null);
  const create = useMutation(
    trpc.sessions.create.mutationOptions({
      onSuccess: ({ sessionId }) => router.push(`/${org.slug}/sessions/${sessionId}`),
    }),
  );

  const bytesMax = details?.policy.promptBytesMax ?? null;
  const isTooLong = bytesMax !== null && byteLength(prompt) > bytesMax;

  function submit(event?: FormEvent) {
    event?.preventDefault();
    if (create.isPending || create.isSuccess) return;
    if (prompt.trim() === '') return setMissing('Say what is to be done.');
    setMissing(null);
    if (!isTooLong) create.mutate({ org: org.slug, repo, prompt });
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit();
  }

  return (
    <form onSubmit={submit} noValidate className="mx-auto flex max-w-2xl flex-col gap-5 px-4 py-6 md:py-10">
      <SelectField label="Repository" value={repo} onChange={(event) => setRepo(event.target.value)}>
        {repositories.map(({ slug, name }) => (
          <option key={slug} value={slug}>
            {name}
          </option>
        ))}
      </SelectField>
      <div>
        <TextArea
          label="Task"
          name="prompt"
          rows={8}
          autoFocus
          value={prompt}
          onChange={(event) => setPrompt(event.target.value)}
          onKeyDown={onKeyDown}
          placeholder="What is to be done, in plain words"
          error={missing}
          className="min-h-44 text-base"
        />
        <div className="mt-1.5 flex flex-wrap items-center justify-between gap-2">
          {prompt === '' ? (
            <button
              type="button"
              className="text-accent text-xs underline-offset-2 hover:underline"
              onClick={() => setPrompt(SAMPLE_TASK)}
            >
              Use the sample repository’s task
            </button>
          ) : (
            <span />
          )}
          {bytesMax !== null && <PromptSize text={prompt} bytesMax={bytesMax} always />}
        </div>
      </div>
      <dl className="flex flex-wrap gap-x-8 gap-y-2 text-xs">
        <div>
          <dt className="text-faint">Model</dt>
          <dd className="flex items-center gap-2">
            <span className="font-mono">{model.model}</span>
            {model.scripted && <ScriptedBadge />}
          </dd>
        </div>
        <div>
          <dt className="text-faint">Machine</dt>
          <dd>its own, forked from the repository’s template</dd>
        </div>
      </dl>
      {model.scripted && (
        <p className="text-muted text-xs">
          {SCRIPTED_HINT} It knows the sample repository’s task. Set <code>OPENAI_API_KEY</code> for a real model.
        </p>
      )}
      {create.error && <ErrorNote error={create.error} />}
      <div className="flex items-center gap-3">
        <Button type="submit" variant="primary" size="lg" busy={create.isPending || create.isSuccess} disabled={isTooLong}>
          Start session
        </Button>
        <span className="hidden text-faint text-xs sm:inline">Ctrl Enter</span>
      </div>
    </form>
  );
}
