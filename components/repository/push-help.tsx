'use client';
import { GitCommitHorizontal } from 'lucide-react';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { CommandBlock } from '../ui/command-block.tsx';
import { Link } from '../ui/link.tsx';
import { EmptyState } from '../ui/notes.tsx';
import type { RepositoryView } from './repository-page.tsx';

/** What to type so that an empty repository gets its first commit. */
export function PushHelp({ view }: { view: RepositoryView }) {
  const { repository, cloneUrl } = view;
  const { org } = useOrg();
  const canWrite = useCanWrite();
  const branch = repository.defaultBranch;
  return (
    <div className="mx-auto max-w-2xl px-4 pb-10 md:px-6">
      <EmptyState icon={<GitCommitHorizontal />} title="This repository has no commits yet" className="pb-6">
        A session needs a commit of {branch} to start from.
      </EmptyState>
      {canWrite && (
        <div className="flex flex-col gap-5">
          <Step title="Push a repository you have">
            <CommandBlock
              label="commands for a repository you have"
              text={`git remote add warren ${cloneUrl}\ngit push -u warren HEAD:${branch}`}
            />
          </Step>
          <Step title="Or begin a new one">
            <CommandBlock
              label="commands for a new repository"
              text={[
                `git clone ${cloneUrl}`,
                `cd ${repository.slug}`,
                `git switch -c ${branch}`,
                `echo "# ${repository.slug}" > README.md`,
                'git add README.md',
                'git commit -m "First commit"',
                `git push -u origin ${branch}`,
              ].join('\n')}
            />
          </Step>
          <p className="text-muted">
            git asks who you are: any user name, and an <Link href={`/${org.slug}/account`}>access token</Link> as the password.
            This page shows the commit as soon as it is there.
          </p>
        </div>
      )}
    </div>
  );
}

function Step({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <section aria-label={title} className="flex flex-col gap-2">
      <h3 className="font-medium">{title}</h3>
      {children}
    </section>
  );
}
