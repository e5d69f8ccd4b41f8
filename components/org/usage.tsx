'use client';
import { useQuery } from '@tanstack/react-query';
import { ChartNoAxesColumn } from 'lucide-react';
import { useTRPC } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { formatCount } from '../ui/format.ts';
import { Link } from '../ui/link.tsx';
import { EmptyState, ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { Section } from './section.tsx';

type Row = { key: string; label: React.ReactNode; calls: number; inputTokens: number; outputTokens: number };

/** Model tokens as the gateway counted them. */
export function Usage() {
  const { org } = useOrg();
  const trpc = useTRPC();
  const usage = useQuery(trpc.orgs.usage.queryOptions({ org: org.slug }));
  const sessions = useQuery(trpc.sessions.list.queryOptions({ org: org.slug }));
  if (usage.isPending) return <Loading label="Loading usage" />;
  if (usage.error) return <ErrorNote error={usage.error} />;
  if (usage.data.total.calls === 0) {
    return (
      <EmptyState icon={<ChartNoAxesColumn />} title="Nothing used yet">
        No model was called in the last 30 days. The tokens of each session’s calls are counted here.
      </EmptyState>
    );
  }
  const titleOf = new Map(sessions.data?.map(({ id, title }) => [id, title]));
  return (
    <>
      <Section title="Models, last 30 days">
        <UsageTable
          head="Model"
          rows={usage.data.models.map((row) => ({
            ...row,
            key: `${row.provider} ${row.model}`,
            label: `${row.provider} · ${row.model}`,
          }))}
        />
      </Section>
      <Section title="Sessions">
        <UsageTable
          head="Session"
          rows={usage.data.sessions.map(({ sessionId, ...row }) => ({
            ...row,
            key: sessionId ?? '',
            label: <Link href={`/${org.slug}/sessions/${sessionId}`}>{titleOf.get(sessionId ?? '') ?? sessionId}</Link>,
          }))}
        />
      </Section>
    </>
  );
}

function UsageTable({ head, rows }: { head: string; rows: Row[] }) {
  return (
    <div className="mt-3 overflow-x-auto rounded-lg border bg-surface">
      <table className="w-full text-left">
        <thead className="text-faint text-xs">
          <tr className="border-b [&>th]:px-3 [&>th]:py-1.5 [&>th]:font-medium">
            <th scope="col">{head}</th>
            <th scope="col" className="text-right">
              Calls
            </th>
            <th scope="col" className="text-right">
              Tokens in
            </th>
            <th scope="col" className="text-right">
              Tokens out
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key} className="border-b last:border-b-0 [&>td]:px-3 [&>td]:py-1.5">
              <td className="max-w-32 truncate sm:max-w-80">{row.label}</td>
              <td className="text-right">{formatCount(row.calls)}</td>
              <td className="text-right">{formatCount(row.inputTokens)}</td>
              <td className="text-right">{formatCount(row.outputTokens)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
