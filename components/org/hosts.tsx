'use client';
import { useQuery } from '@tanstack/react-query';
import { useTRPC } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { Badge } from '../ui/badge.tsx';
import { formatBytes, plural } from '../ui/format.ts';
import { ErrorNote } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import { Ago } from '../ui/time.tsx';
import { Section } from './section.tsx';

const ASK_AGAIN_MS = 15_000;

type Image = { variant: string; state: string; storedBytes: number; stage: string | null };

function describeImage({ variant, state, storedBytes, stage }: Image): string {
  if (state === 'ready') return `${variant} ${formatBytes(storedBytes)}`;
  return `${variant} ${state === 'building' ? `being built (${stage ?? 'starting'})` : state}`;
}

/** The computers this installation's machines run on. */
export function Hosts() {
  const { org } = useOrg();
  const trpc = useTRPC();
  const hosts = useQuery(trpc.orgs.hosts.queryOptions({ org: org.slug }, { refetchInterval: ASK_AGAIN_MS }));
  if (hosts.isPending) return <Loading label="Loading hosts" />;
  if (hosts.error) return <ErrorNote error={hosts.error} />;
  return (
    <Section
      title="Hosts"
      hint="Without hardware virtualisation (KVM) machines are emulated (TCG): everything works, several times slower."
    >
      {hosts.data.length === 0 && (
        <p className="text-muted">No host has reported yet. Without one no machine can start; see the log of hostd.</p>
      )}
      <ul className="flex flex-col gap-3">
        {hosts.data.map(({ id, accelerator, online, lastSeenAt, yourMachines, view }) => (
          <li key={id} className="rounded-lg border bg-surface px-3 py-2.5">
            <p className="flex flex-wrap items-center gap-2">
              <code className="font-medium text-xs">{id}</code>
              <Badge tone={online ? 'good' : 'bad'}>{online ? 'online' : 'away'}</Badge>
              <Badge tone={accelerator === 'kvm' ? 'good' : 'warn'}>{accelerator === 'kvm' ? 'KVM' : 'emulated (TCG)'}</Badge>
              <span className="ml-auto text-faint text-xs">
                seen <Ago at={lastSeenAt} />
              </span>
            </p>
            {view && (
              <p className="mt-1 text-muted text-xs">
                {plural(yourMachines, 'machine')} of yours · {view.cores} cores · {formatBytes(view.memoryFreeMiB * 1024 * 1024)}{' '}
                of {formatBytes(view.memoryMiB * 1024 * 1024)} memory free · {formatBytes(view.diskFreeBytes)} disk free · QEMU{' '}
                {view.qemuVersion} · {view.reflink ? 'copy-on-write disks' : 'no copy-on-write: forks copy whole disks'}
                <span className="block">{view.acceleratorReason}</span>
                <span className="block">images: {view.images.map(describeImage).join(' · ')}</span>
              </p>
            )}
            {view && view.isolationLacks.length > 0 && (
              <details className="mt-1 text-xs">
                <summary className="text-warn">
                  Machines here lack {view.isolationLacks.map(({ what }) => what).join(', ')}
                </summary>
                <ul className="mt-1 flex flex-col gap-1 text-muted">
                  {view.isolationLacks.map(({ what, found, why, fix }) => (
                    <li key={what}>
                      {what}: {found}. Without it {why}. To mend it: {fix}.
                    </li>
                  ))}
                </ul>
              </details>
            )}
          </li>
        ))}
      </ul>
    </Section>
  );
}
