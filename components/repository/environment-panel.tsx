'use client';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Hammer } from 'lucide-react';
import type { ReactNode } from 'react';
import { useTRPC } from '../api/trpc.ts';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { Button } from '../ui/button.tsx';
import { OutputBlock } from '../ui/code-block.tsx';
import { formatDuration, shortSha } from '../ui/format.ts';
import { ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { Ago } from '../ui/time.tsx';
import type { RepositoryView } from './repository-page.tsx';
import { TemplateBadge } from './template-badge.tsx';

const LOG_POLL_MS = 3_000;

/** How the repository's machines are made: what the file says, and the template built from it. */
export function EnvironmentPanel({ view }: { view: RepositoryView }) {
  const { repository, environment, template, head } = view;
  const { org } = useOrg();
  const canWrite = useCanWrite();
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const rebuild = useMutation(
    trpc.repositories.rebuildTemplate.mutationOptions({
      onSettled: () => queryClient.invalidateQueries({ queryKey: trpc.repositories.pathKey() }),
    }),
  );
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-8 px-4 py-6 md:px-6">
      <section aria-label="Template" className="flex flex-col gap-3">
        <div className="flex flex-wrap items-center gap-3">
          <h2 className="font-semibold text-base">Template</h2>
          <TemplateBadge state={template?.state ?? null} />
          {template && (
            <span className="text-faint text-xs">
              of <code>{shortSha(template.commitSha)}</code>, <Ago at={template.createdAt} />
              {template.readyAt && `, built in ${formatDuration(template.readyAt.getTime() - template.createdAt.getTime())}`}
            </span>
          )}
          {canWrite && head && (
            <Button
              className="ml-auto"
              busy={rebuild.isPending || template?.state === 'building'}
              onClick={() => rebuild.mutate({ org: org.slug, repo: repository.slug })}
            >
              {template?.state === 'building' ? (
                'Building'
              ) : (
                <>
                  <Hammer aria-hidden /> {template ? 'Rebuild' : 'Build now'}
                </>
              )}
            </Button>
          )}
        </div>
        <p className="text-muted">
          A machine booted once, with the repository cloned, its set-up run and the agent started, then put to sleep. Every
          session and check is a fork of it.
        </p>
        {rebuild.error && <ErrorNote error={rebuild.error} />}
        {template?.failure && <ErrorNote error={template.failure} title="The last build failed." />}
        {template && <TemplateLog templateId={template.id} isBuilding={template.state === 'building'} />}
      </section>
      <section aria-label="Environment" className="flex flex-col gap-3">
        <h2 className="font-semibold text-base">Environment</h2>
        <p className="text-muted">
          Read from <code className="text-xs">.warren/environment.yaml</code> on {repository.defaultBranch}.
        </p>
        {environment.ok ? (
          <dl className="divide-y rounded-lg border bg-surface">
            <Fact term="Set-up">
              {environment.environment.setup.length === 0 ? (
                <None />
              ) : (
                environment.environment.setup.map((command) => <Command key={command}>{command}</Command>)
              )}
            </Fact>
            <Fact term="Checks">
              {environment.environment.checks.length === 0 ? (
                <None />
              ) : (
                environment.environment.checks.map(({ name, command }) => (
                  <p key={name} className="flex gap-3">
                    <span className="min-w-14 font-medium">{name}</span> <Command>{command}</Command>
                  </p>
                ))
              )}
            </Fact>
            <Fact term="Image">{environment.environment.image}</Fact>
            {environment.environment.packages.length > 0 && (
              <Fact term="Packages">
                <Command>{environment.environment.packages.join(' ')}</Command>
              </Fact>
            )}
            <Fact term="Size">
              {environment.environment.size.memoryMiB} MiB memory, {environment.environment.size.vcpus} vCPU,{' '}
              {environment.environment.size.diskGiB} GiB disk
            </Fact>
            {environment.environment.ports.length > 0 && <Fact term="Ports">{environment.environment.ports.join(', ')}</Fact>}
          </dl>
        ) : (
          <ErrorNote
            title="The file is not valid, so no template can be built from it."
            error={environment.problems.map(({ line, message }) => `line ${line}: ${message}`).join('\n')}
          />
        )}
      </section>
    </div>
  );
}

function TemplateLog({ templateId, isBuilding }: { templateId: string; isBuilding: boolean }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const log = useQuery(
    trpc.repositories.templateLog.queryOptions(
      { org: org.slug, templateId },
      { refetchInterval: isBuilding ? LOG_POLL_MS : false },
    ),
  );
  if (log.isPending) return <Loading label="Loading the log" className="p-0" />;
  if (log.error) return <ErrorNote error={log.error} />;
  return (
    <details open={isBuilding || log.data.state === 'failed'}>
      <summary className="mb-2 text-muted">Build log</summary>
      <OutputBlock follow text={log.data.log || 'Nothing printed yet.'} className="max-h-[28rem]" />
    </details>
  );
}

function Fact({ term, children }: { term: string; children: ReactNode }) {
  return (
    <div className="flex flex-col gap-1 px-3 py-2.5 sm:flex-row sm:gap-4">
      <dt className="w-20 shrink-0 text-faint">{term}</dt>
      <dd className="min-w-0 flex-1">{children}</dd>
    </div>
  );
}

function Command({ children }: { children: string }) {
  return <code className="block whitespace-pre-wrap break-words text-xs leading-5">{children}</code>;
}

function None() {
  return <span className="text-faint">none</span>;
}
