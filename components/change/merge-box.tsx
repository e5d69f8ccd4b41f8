'use client';
import { useMutation } from '@tanstack/react-query';
import { CircleCheck, GitMerge, TriangleAlert } from 'lucide-react';
import { useState } from 'react';
import { type ApiOutputs, useTRPC } from '../api/trpc.ts';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { Button } from '../ui/button.tsx';
import { ConfirmDialog } from '../ui/confirm-dialog.tsx';
import { shortSha } from '../ui/format.ts';
import { Ago } from '../ui/time.tsx';
import { useInvalidateChange } from './use-invalidate-change.ts';

export type ChangeView = ApiOutputs['changes']['get'];

/** Whether the change can be merged, what stands against it, and the button. */
export function MergeBox({ view }: { view: ChangeView }) {
  const { change, mergeable, mergedBy } = view;
  const canWrite = useCanWrite();
  const [isMerging, setMerging] = useState(false);
  const [isClosing, setClosing] = useState(false);

  if (change.state !== 'open') {
    return (
      <p className="flex flex-wrap items-center gap-x-2 gap-y-1 rounded-lg bg-accent-soft px-3 py-2.5">
        <GitMerge className="size-4 text-accent" aria-hidden />
        {change.state === 'merged' ? `${mergedBy ?? 'Someone'} merged this into ${change.baseBranch}` : 'This change was closed'}
        {change.endedAt && <Ago at={change.endedAt} className="text-muted" />}
        {change.mergedSha && <code className="text-muted text-xs">{shortSha(change.mergedSha)}</code>}
      </p>
    );
  }
  const Icon = mergeable.reason === null ? CircleCheck : TriangleAlert;
  const title = !mergeable.ok ? 'Cannot be merged' : mergeable.reason === null ? 'Ready to merge' : 'Can be merged, but';
  return (
    <div className="flex flex-wrap items-center gap-3 rounded-lg border bg-surface px-3 py-2.5">
      <Icon className={mergeable.reason === null ? 'size-4 text-good' : 'size-4 text-warn'} aria-hidden />
      <div className="min-w-56 flex-1">
        <p className="font-medium">{title}</p>
        <p className="text-muted text-xs">{mergeable.reason ?? `No conflicts with ${change.baseBranch}; every check passed.`}</p>
      </div>
      {canWrite && (
        <div className="flex flex-1 justify-end gap-2 sm:flex-none">
          <Button variant="ghost" onClick={() => setClosing(true)}>
            Close
          </Button>
          <Button variant="primary" disabled={!mergeable.ok} onClick={() => setMerging(true)}>
            <GitMerge aria-hidden /> Merge
          </Button>
        </div>
      )}
      <MergeDialog view={view} open={isMerging} onClose={() => setMerging(false)} />
      <CloseDialog view={view} open={isClosing} onClose={() => setClosing(false)} />
    </div>
  );
}

type DialogProps = { view: ChangeView; open: boolean; onClose: () => void };

function MergeDialog({ view: { change, repository, mergeable, threads, session }, open, onClose }: DialogProps) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const invalidate = useInvalidateChange();
  const merge = useMutation(trpc.changes.merge.mutationOptions({ onSettled: invalidate, onSuccess: onClose }));
  const unresolved = threads.filter(({ resolvedAt }) => resolvedAt === null).length;
  const concerns = [
    mergeable.reason,
    unresolved > 0 ? `${unresolved} ${unresolved === 1 ? 'thread is' : 'threads are'} not resolved.` : null,
  ].filter((concern) => concern !== null);
  return (
    <ConfirmDialog
      open={open}
      onClose={() => {
        merge.reset();
        onClose();
      }}
      title={`Merge change #${change.number}?`}
      confirm={concerns.length > 0 ? 'Merge anyway' : 'Merge'}
      busy={merge.isPending}
      error={merge.error}
      onConfirm={() =>
        merge.mutate({ org: org.slug, repo: repository.slug, number: change.number, expectedHeadSha: change.headSha })
      }
    >
      <p>
        “{change.title}” at <code className="text-xs">{shortSha(change.headSha)}</code> becomes part of{' '}
        <code className="text-xs">{change.baseBranch}</code>.
        {session && ' Its session ends; machine and branch are removed, the record stays.'}
      </p>
      {concerns.length > 0 && (
        <ul className="rounded-md bg-warn-soft px-3 py-2 text-ink">
          {concerns.map((concern) => (
            <li key={concern}>{concern}</li>
          ))}
        </ul>
      )}
    </ConfirmDialog>
  );
}

function CloseDialog({ view: { change, repository, session }, open, onClose }: DialogProps) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const invalidate = useInvalidateChange();
  const close = useMutation(trpc.changes.close.mutationOptions({ onSettled: invalidate, onSuccess: onClose }));
  return (
    <ConfirmDialog
      open={open}
      onClose={() => {
        close.reset();
        onClose();
      }}
      title={`Close change #${change.number}?`}
      confirm="Close change"
      danger
      busy={close.isPending}
      error={close.error}
      onConfirm={() => close.mutate({ org: org.slug, repo: repository.slug, number: change.number })}
    >
      <p>Nothing of it is merged.{session && ' Its session ends; machine and branch are removed, the record stays.'}</p>
    </ConfirmDialog>
  );
}
