import type { HostClient } from '../../server/hosts/host-client.ts';
import type { WorkerDeps } from '../deps.ts';

export type ListedHost = { hostId: string; client: HostClient };

/**
 * Hosts whose listing can be trusted to be theirs: at the address of a host that was set up anew, another one answers,
 * and what that one runs must not be held against the old one's rows. A host that does not answer is left out.
 */
export async function listedHosts(deps: WorkerDeps): Promise<ListedHost[]> {
  const listed: ListedHost[] = [];
  for (const { id } of await deps.systemDb.host.findMany({ select: { id: true } })) {
    const client = await deps.hosts.client(id);
    const view = await client.host().catch((error: unknown) => {
      deps.log.warn({ event: 'host.silent', hostId: id, err: error }, 'host left out of the sweep');
      return null;
    });
    if (view?.hostId === id) listed.push({ hostId: id, client });
  }
  return listed;
}
