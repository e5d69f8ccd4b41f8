'use client';
import { useMutation, useQuery } from '@tanstack/react-query';
import { ChevronRight, RotateCcw } from 'lucide-react';
import { useState } from 'react';
import { type ApiOutputs, useTRPC } from '../api/trpc.ts';
import { useCanWrite, useOrg } from '../layout/org-context.tsx';
import { IconButton } from '../ui/button.tsx';
import { cn } from '../ui/cn.ts';
import { OutputBlock } from '../ui/code-block.tsx';
import { formatDuration, shortSha } from '../ui/format.ts';
import { ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { CheckIcon, checkLabel } from './check-state.tsx';
import { useInvalidateChange } from './use-invalidate-change.ts';

export type Check = Pick<
  ApiOutputs['changes']['get']['checks'][number],
  'id' | 'name' | 'command' | 'state' | 'exitCode' | 'commitSha' | 'startedAt' | 'finishedAt'
>;

/** Checks, each opening to its log; a failed one is open already unless `isFolded`. */
export function ChecksList({ checks, isFolded }: { checks: readonly Check[]; isFolded?: boolean }) {
  return (
    <ul className="overflow-hidden rounded-lg border bg-surface">
      {checks.map((check) => (
        <CheckRow key={check.id} check={check} isFolded={isFolded} />
      ))}
    </ul>
  );
}

const FINISHED = new Set<Check['state']>(['passed', 'failed', 'errored', 'superseded']);

function CheckRow({ check, isFolded }: { check: Check; isFolded?: boolean }) {
  const { org } = useOrg();
  const canWrite = useCanWrite();
  const trpc = useTRPC();
  const invalidate = useInvalidateChange();
  const [chosen, setChosen] = useState<boolean | null>(null);
  const isOpen = chosen ?? (check.state === 'failed' && !isFolded);
  const rerun = useMutation(trpc.changes.rerunCheck.mutationOptions({ onSuccess: invalidate }));
  return (
    <li className="border-b last:border-b-0">
      <div className="flex items-center gap-1 pr-1.5 hover:bg-hover">
        <button
          type="button"
          aria-expanded={isOpen}
          onClick={() => setChosen(!isOpen)}
          className="flex min-w-0 flex-1 items-center gap-2 px-2.5 py-2 text-left"
        >
          <ChevronRight aria-hidden className={cn('size-3.5 shrink-0 text-faint transition-transform', isOpen && 'rotate-90')} />
          <CheckIcon state={check.state} />
          <span className="font-medium">{check.name}</span>
          <code className="min-w-0 flex-1 truncate text-faint text-xs">{check.command}</code>
          <span className="shrink-0 text-faint text-xs tabular-nums">
            {checkLabel(check.state)}
            {took(check) !== null && ` in ${formatDuration(took(check)!)}`}
          </span>
        </button>
        {canWrite && FINISHED.has(check.state) && check.state !== 'superseded' && (
          <IconButton
            label={`Run ${check.name} again`}
            size="sm"
            disabled={rerun.isPending}
            onClick={() => rerun.mutate({ org: org.slug, checkId: check.id })}
          >
            <RotateCcw />
          </IconButton>
        )}
      </div>
      {rerun.error && <ErrorNote error={rerun.error} className="m-2" />}
      {isOpen && <CheckLog check={check} />}
    </li>
  );
}

function took({ startedAt, finishedAt }: Check): number | null {
  return startedAt && finishedAt ? finishedAt.getTime() - startedAt.getTime() : null;
}

const LOG_POLL_MS = 3_000;

function CheckLog({ check }: { check: Check }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const isRunning = check.state === 'running';
  const log = useQuery(
    trpc.changes.checkLog.queryOptions(
      { org: org.slug, checkId: check.id },
      { refetchInterval: isRunning ? LOG_POLL_MS : false },
    ),
  );
  return (
    <div className="border-t bg-sunken">
      {log.isPending && <Loading label="Loading the log" className="p-3" />}
      {log.error && <ErrorNote error={log.error} className="m-2" />}
      {log.data && (
        <OutputBlock
          follow
          text={log.data.log || (check.state === 'queued' ? 'It has not started yet.' : 'It printed nothing.')}
          className="max-h-96 rounded-none border-0"
        />
      )}
      <p className="border-t px-3 py-1 text-2xs text-faint">
        commit <code>{shortSha(check.commitSha)}</code>
        {check.exitCode !== null && `, exit code ${check.exitCode}`}, in a fresh machine of the repository’s template
      </p>
    </div>
  );
}
