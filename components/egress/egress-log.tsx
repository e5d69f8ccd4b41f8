'use client';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Globe, KeyRound, RefreshCw } from 'lucide-react';
import { useDeferredValue, useState } from 'react';
import { FIXABLE_REASONS } from '../../hostd/contract/egress.ts';
import { type ApiOutputs, useTRPCClient } from '../api/trpc.ts';
import { useCanAdminister, useOrg } from '../layout/org-context.tsx';
import { Badge } from '../ui/badge.tsx';
import { Button, IconButton } from '../ui/button.tsx';
import { cn } from '../ui/cn.ts';
import { formatBytes } from '../ui/format.ts';
import { EmptyState, ErrorNote } from '../ui/notes.tsx';
import { Segmented } from '../ui/segmented.tsx';
import { Loading } from '../ui/spinner.tsx';
import { Ago } from '../ui/time.tsx';
import { describeReason } from './reasons.ts';
import { RuleDialog } from './rule-dialog.tsx';
import { type RuleDraft, ruleFor } from './rule-draft.ts';

const ASK_AGAIN_MS = 5_000;
const DECISIONS = [
  { id: 'all', label: 'All' },
  { id: 'deny', label: 'Refused' },
  { id: 'allow', label: 'Allowed' },
] as const;
type Shown = (typeof DECISIONS)[number]['id'];
type Row = ApiOutputs['egress']['log']['rows'][number];

type Props = { sessionId?: string; isLive?: boolean };

/** What machines tried to reach, newest first; an admin can allow what was refused from its line. */
export function EgressLog({ sessionId, isLive }: Props) {
  const { org } = useOrg();
  const client = useTRPCClient();
  const mayAllow = useCanAdminister();
  const [shown, setShown] = useState<Shown>('all');
  const [host, setHost] = useState('');
  const [draft, setDraft] = useState<RuleDraft | null>(null);
  const wanted = useDeferredValue(host.trim());
  const decision = shown === 'all' ? undefined : shown;
  const log = useInfiniteQuery({
    queryKey: ['egress', org.slug, sessionId ?? null, shown, wanted],
    queryFn: ({ pageParam }) => client.egress.log.query({ org: org.slug, sessionId, decision, host: wanted, before: pageParam }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: (before) => before,
    refetchInterval: isLive ? ASK_AGAIN_MS : false,
  });
  const rows = log.data?.pages.flatMap((page) => page.rows) ?? [];
  const isFiltered = shown !== 'all' || wanted !== '';

  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-2">
        <Segmented label="Decision" value={shown} onChange={setShown} options={DECISIONS} />
        <input
          type="search"
          aria-label="Host contains"
          placeholder="Host contains"
          value={host}
          onChange={(event) => setHost(event.target.value)}
          className="h-8 min-w-0 flex-1 rounded-md border border-field bg-surface px-2.5 text-sm placeholder:text-faint focus:border-accent focus:outline-none focus:ring-2 focus:ring-accent/30 sm:max-w-64"
        />
        <IconButton label="Read it again" size="sm" className="ml-auto" onClick={() => void log.refetch()}>
          <RefreshCw className={cn(log.isFetching && 'animate-spin')} />
        </IconButton>
      </div>
      {log.isPending && <Loading label="Loading the egress log" />}
      {log.error && <ErrorNote error={log.error} />}
      {log.data && rows.length === 0 && (
        <EmptyState icon={<Globe />} title={isFiltered ? 'Nothing like that' : 'Nothing reached yet'}>
          {isFiltered
            ? 'No request of the last 30 days matches.'
            : 'Machines have no network device. What leaves them goes through a proxy that refuses everything no rule names, and shows up here.'}
        </EmptyState>
      )}
      {rows.length > 0 && (
        <ul className="divide-y rounded-lg border bg-surface">
          {rows.map((row) => (
            <LogRow
              key={row.id}
              row={row}
              onAllow={mayAllow && FIXABLE_REASONS.some((reason) => reason === row.reason) ? () => setDraft(ruleFor(row)) : null}
            />
          ))}
        </ul>
      )}
      {log.hasNextPage && (
        <Button className="self-start" busy={log.isFetchingNextPage} onClick={() => void log.fetchNextPage()}>
          Show earlier
        </Button>
      )}
      <RuleDialog open={draft !== null} onClose={() => setDraft(null)} draft={draft} />
    </div>
  );
}

function LogRow({ row, onAllow }: { row: Row; onAllow: (() => void) | null }) {
  const isAllowed = row.decision === 'allow';
  return (
    <li className="flex items-start gap-3 px-3 py-2 text-xs">
      <Badge tone={isAllowed ? (row.reason === 'upstream_error' ? 'warn' : 'good') : 'bad'} className="mt-px w-16 justify-center">
        {isAllowed ? (row.status ?? 'allowed') : 'refused'}
      </Badge>
      <div className="min-w-0 flex-1">
        <p className="break-all font-mono text-2xs leading-5">
          {row.method} {row.host}:{row.port}
          <span className="text-faint">{row.path}</span>
        </p>
        <p className="flex flex-wrap gap-x-3 text-faint">
          <span className={cn(!isAllowed && 'text-muted')}>{describeReason(row.reason)}</span>
          {row.secretIds.length > 0 && (
            <span className="inline-flex items-center gap-1">
              <KeyRound className="size-3" aria-hidden />{' '}
              {row.secretIds.length === 1 ? 'with a secret' : `with ${row.secretIds.length} secrets`}
            </span>
          )}
          {row.bytesUp + row.bytesDown > 0 && (
            <span className="tabular-nums">
              {formatBytes(row.bytesUp)} up, {formatBytes(row.bytesDown)} down
            </span>
          )}
          <Ago at={row.at} />
        </p>
      </div>
      {onAllow && (
        <Button size="sm" aria-label={`Allow ${row.host}`} onClick={onAllow}>
          Allow…
        </Button>
      )}
    </li>
  );
}
