'use client';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useTRPCClient } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { Button } from '../ui/button.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { Ago } from '../ui/time.tsx';
import { Section } from './section.tsx';

/** Who did what, newest first. */
export function AuditLog() {
  const { org } = useOrg();
  const client = useTRPCClient();
  const log = useInfiniteQuery({
    queryKey: ['audit', org.slug],
    queryFn: ({ pageParam }) => client.orgs.audit.query({ org: org.slug, before: pageParam }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
  if (log.isPending) return <Loading label="Loading the audit log" />;
  if (!log.data) return <ErrorNote error={log.error} />;
  return (
    <Section title="Audit">
      <div className="mt-3 overflow-x-auto rounded-lg border bg-surface">
        <table className="w-full text-left text-xs">
          {/* Five columns do not fit a phone: there each row is a few lines of its own. */}
          <thead className="text-faint max-sm:hidden">
            <tr className="border-b [&>th]:px-3 [&>th]:py-1.5 [&>th]:font-medium">
              <th scope="col">When</th>
              <th scope="col">Who</th>
              <th scope="col">What</th>
              <th scope="col">On</th>
              <th scope="col">Details</th>
            </tr>
          </thead>
          <tbody>
            {log.data.pages.flatMap(({ rows }) =>
              rows.map((row) => (
                <tr
                  key={row.id}
                  className="border-b align-top last:border-b-0 max-sm:flex max-sm:flex-wrap max-sm:gap-x-3 max-sm:px-3 max-sm:py-1.5 sm:[&>td]:px-3 sm:[&>td]:py-1.5"
                >
                  <td className="whitespace-nowrap text-faint">
                    <Ago at={row.at} />
                  </td>
                  <td className="whitespace-nowrap">{row.actorName}</td>
                  <td className="whitespace-nowrap">{row.action}</td>
                  <td className="font-mono text-2xs text-muted max-sm:basis-full max-sm:break-all">{row.target}</td>
                  <td className="wrap-anywhere font-mono text-2xs text-faint">{detailsOf(row.details)}</td>
                </tr>
              )),
            )}
          </tbody>
        </table>
      </div>
      {log.hasNextPage && (
        <Button className="mt-3" busy={log.isFetchingNextPage} onClick={() => void log.fetchNextPage()}>
          Show earlier
        </Button>
      )}
    </Section>
  );
}

/** `from running, to suspending`. */
function detailsOf(details: unknown): string {
  if (typeof details !== 'object' || details === null) return '';
  return Object.entries(details)
    .map(([key, value]) => `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
}
