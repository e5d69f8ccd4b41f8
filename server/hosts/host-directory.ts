import { hostViewSchema } from '../../hostd/contract/machines.ts';
import type { SystemDb } from '../db.ts';
import { holdHost } from './hold-host.ts';
import { createHostClient, type HostClient, type HostClientOptions } from './host-client.ts';
import { HostError } from './host-error.ts';
import { decideNeighbour, listWeaknesses } from './isolation.ts';

export type PlacedHost = { hostId: string; client: HostClient };

/** Which hosts there are and how to talk to each. Rows are in Host; nothing here is remembered that is not there too. */
export interface HostDirectory {
  /** Where a new machine goes. Rejects with HostError when no host answers or none has room. */
  place(need: { memoryMiB: number }): Promise<PlacedHost>;
  /** The host that holds a machine or snapshot. */
  client(hostId: string): Promise<HostClient>;
  /** Rejects with HostError `weak_isolation` when a machine of this organization must not run beside those that are there. */
  requireNeighbourly(hostId: string, orgId: string): Promise<void>;
  /** Reads every host's state into its row. */
  heartbeat(now: Date): Promise<void>;
}

/** Memory a host keeps for itself when a machine is placed. */
const HOST_RESERVE_MIB = 256;

export type HostDirectoryOptions = {
  systemDb: SystemDb;
  /** Addresses of the hosts this installation was told of. */
  urls: string[];
  /** All hosts share one token for now. */
  token: string;
  /** All organizations here trust each other, says the operator. */
  weakIsolationAllowed: boolean;
  onCall?: HostClientOptions['onCall'];
};

/** Hosts by configured address; each tells its own id, which is what rows refer to. */
export function createHostDirectory({
  systemDb,
  urls,
  token,
  weakIsolationAllowed,
  onCall,
}: HostDirectoryOptions): HostDirectory {
  const clientFor = (url: string) => createHostClient({ url, token, onCall });

  async function record(url: string, now: Date) {
    const view = await clientFor(url).host();
    const data = { url, accelerator: view.accelerator, info: view, lastSeenAt: now };
    await systemDb.host.upsert({ where: { id: view.hostId }, create: { id: view.hostId, ...data }, update: data });
    return view;
  }

  return {
    async place({ memoryMiB }) {
      const answers = await Promise.allSettled(urls.map(async (url) => ({ url, view: await record(url, new Date()) })));
      const hosts = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
      const best = hosts.toSorted((a, b) => b.view.memoryFreeMiB - a.view.memoryFreeMiB)[0];
      if (!best) throw answers.find((answer) => answer.status === 'rejected')?.reason ?? noHosts();
      if (best.view.memoryFreeMiB < memoryMiB + HOST_RESERVE_MIB) {
        const message = `no host has ${memoryMiB} MiB free; the roomiest has ${best.view.memoryFreeMiB} MiB`;
        throw new HostError({ code: 'no_capacity', message, phase: 'placement' });
      }
      return { hostId: best.view.hostId, client: clientFor(best.url) };
    },
    async client(hostId) {
      const row = await systemDb.host.findUnique({ where: { id: hostId } });
      if (!row) throw new HostError({ code: 'not_found', message: `host ${hostId} has never reported`, phase: 'placement' });
      return clientFor(row.url);
    },
    async requireNeighbourly(hostId, orgId) {
      if (weakIsolationAllowed) return;
      const decision = await systemDb.$transaction(async (tx) => {
        const holderOrgId = await holdHost(tx, hostId, orgId);
        const row = await tx.host.findUnique({ where: { id: hostId } });
        const view = hostViewSchema.safeParse(row?.info);
        return decideNeighbour({ orgId, holderOrgId, weaknesses: view.success ? listWeaknesses(view.data) : null });
      });
      if (decision.ok) return;
      throw new HostError({
        code: 'weak_isolation',
        message: `host ${hostId} runs machines of another organization and cannot keep yours apart from them: ${decision.reason}`,
        phase: 'placement',
      });
    },
    async heartbeat(now) {
      const answers = await Promise.allSettled(urls.map((url) => record(url, now)));
      const failed = answers.find((answer) => answer.status === 'rejected');
      if (failed) throw failed.reason;
    },
  };
}

function noHosts() {
  return new HostError({ code: 'no_capacity', message: 'no machine host is configured: set HOSTD_URL', phase: 'placement' });
}
