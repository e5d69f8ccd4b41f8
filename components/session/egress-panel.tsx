'use client';
import { useQuery } from '@tanstack/react-query';
import { Globe, RefreshCw } from 'lucide-react';
import { useTRPC } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { Badge } from '../ui/badge.tsx';
import { IconButton } from '../ui/button.tsx';
import { formatBytes } from '../ui/format.ts';
import { EmptyState, ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { ClockTime } from '../ui/time.tsx';
import type { SessionView } from './session-page.tsx';

const ASK_AGAIN_MS = 5_000;

const REASONS: Record<string, string> = {
  service: 'Warren’s own service',
  rule: 'allowed by policy',
  not_listed: 'not on the list',
  private_address: 'private address',
  bad_host: 'not a host name',
  bad_port: 'port not allowed',
  address: 'an address, not a name',
  method: 'read only',
  websocket: 'WebSocket',
  too_large: 'too large',
  upstream_error: 'no answer',
};

/** What the machine tried to reach, and what the proxy said. Kept by the host for as long as the machine runs. */
export function EgressPanel({ view }: { view: SessionView }) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const isAwake = view.session.state === 'running';
  const log = useQuery(
    trpc.sessions.egressLog.queryOptions(
      { org: org.slug, sessionId: view.session.id },
      { enabled: isAwake, refetchInterval: view.status === 'working' ? ASK_AGAIN_MS : false },
    ),
  );
  const rows = (log.data ?? []).toReversed();

  if (!isAwake) {
    return (
      <EmptyState icon={<Globe />} title="The machine is not running">
        Its host keeps the log of what it reached while it runs.
      </EmptyState>
    );
  }
  if (log.isPending) return <Loading label="Asking the host" />;
  if (log.error) return <ErrorNote error={log.error} className="m-3" />;
  if (rows.length === 0) {
    return (
      <EmptyState icon={<Globe />} title="Nothing reached yet">
        The machine has no network device. What leaves it goes through a proxy that refuses everything the policy does not name.
      </EmptyState>
    );
  }
  return (
    <div className="overflow-x-auto">
      <div className="flex items-center justify-between px-4 pt-2 text-faint text-xs">
        <span>{rows.length} requests, newest first</span>
        <IconButton label="Read it again" size="sm" onClick={() => void log.refetch()}>
          <RefreshCw />
        </IconButton>
      </div>
      <table className="w-full text-left text-xs">
        <thead className="text-faint">
          <tr className="border-b [&>th]:px-2 [&>th]:py-1.5 [&>th]:font-medium [&>th:first-child]:pl-4">
            <th scope="col">Time</th>
            <th scope="col">Answer</th>
            <th scope="col">Request</th>
            <th scope="col">Why</th>
            <th scope="col" className="text-right">
              Up / down
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.seq} className="border-b align-top [&>td]:px-2 [&>td]:py-1.5 [&>td:first-child]:pl-4">
              <td className="text-faint">
                <ClockTime at={row.at} />
              </td>
              <td>
                <Badge tone={row.decision === 'allow' ? 'good' : 'bad'}>
                  {row.decision === 'allow' ? (row.status ?? 'allowed') : 'refused'}
                </Badge>
              </td>
              <td className="break-all font-mono text-2xs">
                {row.method} {row.host}:{row.port}
                <span className="text-faint">{row.path}</span>
              </td>
              <td className="whitespace-nowrap text-muted">{REASONS[row.reason] ?? row.reason}</td>
              <td className="whitespace-nowrap pr-4 text-right text-faint tabular-nums">
                {formatBytes(row.bytesUp)} / {formatBytes(row.bytesDown)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
