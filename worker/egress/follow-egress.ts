import { setTimeout as pause } from 'node:timers/promises';
import type { EgressFeed } from '../../hostd/contract/egress.ts';
import type { HostClient } from '../../server/hosts/host-client.ts';
import type { WorkerDeps } from '../deps.ts';
import { handOverEgress } from '../machines/apply-egress.ts';
import { storeEntries } from './store-entries.ts';

/** How long a host may keep a question open for which there is no news. */
const WAIT_MS = 20_000;
/** Between two looks at which hosts there are. */
const HOSTS_MS = 30_000;
/** Decisions are stored in batches, not one by one as they come. */
const BATCH_MS = 500;

/**
 * For as long as the worker runs: stores what machines tried to reach, and hands policies over again to a hostd that was started
 * anew. Any number of workers may do this for one host; each row is stored once, and a policy may be handed over twice.
 */
export async function followEgress(deps: WorkerDeps): Promise<void> {
  const followed = new Map<string, Promise<void>>();
  while (!deps.shutdown.aborted) {
    const hosts = await deps.systemDb.host.findMany({ select: { id: true } }).catch(() => []);
    for (const { id } of hosts) {
      if (!followed.has(id))
        followed.set(
          id,
          followHost(deps, id).finally(() => followed.delete(id)),
        );
    }
    await rest(deps, followed.size === 0 ? deps.patience.retryMs : HOSTS_MS);
  }
  await Promise.all(followed.values());
}

async function followHost(deps: WorkerDeps, hostId: string): Promise<void> {
  let failures = 0;
  while (!deps.shutdown.aborted) {
    try {
      const host = await deps.hosts.client(hostId);
      const feed = await host.egressFeed({ waitMs: WAIT_MS, max: 1_000 }, deps.shutdown);
      const done = await serveFeed(deps, host, feed);
      failures = 0;
      // Somebody else's machine waits, or many small requests are under way.
      await rest(deps, done ? BATCH_MS : deps.patience.retryMs);
    } catch (error) {
      if (deps.shutdown.aborted) return;
      failures += 1;
      // A host that is started anew is away for seconds; said once, not each time.
      if (failures === 5) deps.log.warn({ event: 'egress.host_silent', hostId, err: error }, 'egress of a host is not followed');
      await rest(deps, deps.patience.retryMs);
    }
  }
}

/** @returns false when a machine still waits */
export async function serveFeed(deps: WorkerDeps, host: HostClient, { waiting, entries }: EgressFeed): Promise<boolean> {
  // Requests wait for these.
  const handed = await Promise.all(waiting.map((machineId) => handOver(deps, machineId)));
  if (entries.length > 0) await host.egressCollected({ upTo: await storeEntries(deps, entries) });
  return handed.every(Boolean);
}

async function handOver(deps: WorkerDeps, machineId: string): Promise<boolean> {
  try {
    const machine = await deps.systemDb.machine.findFirst({ where: { id: machineId, endedAt: null } });
    if (!machine) return false;
    await handOverEgress(deps, machine);
    deps.log.info({ event: 'egress.handed_over', machineId }, 'a host that was started anew has the machine’s rules again');
    return true;
  } catch (error) {
    deps.log.warn({ event: 'egress.not_handed_over', machineId, err: error }, 'a machine waits for its rules');
    return false;
  }
}

/** Ends early, and quietly, when the worker ends. */
async function rest({ shutdown }: WorkerDeps, ms: number): Promise<void> {
  await pause(ms, undefined, { signal: shutdown }).catch(() => {});
}
