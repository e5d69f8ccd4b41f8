import type { MachineSource } from '../../hostd/contract/machines.ts';
import type { StoreKeyInput } from '../../hostd/contract/replicas.ts';
import type { HostClient } from '../../server/hosts/host-client.ts';
import { isHostError } from '../../server/hosts/host-error.ts';

/**
 * A snapshot that its host evicted, or that another host made, is fetched from the object store before a machine is made from it.
 * Rejects with HostError. Where there is no store, whoever makes the machine says what is missing.
 */
export async function bringHere(host: HostClient, source: MachineSource, keys: StoreKeyInput[]): Promise<void> {
  if (source.kind === 'image' || keys.length === 0) return;
  const view = await host.snapshot(source.snapshotId).catch((error: unknown) => {
    if (isHostError(error, 'not_found')) return null;
    throw error;
  });
  if (view?.here || (await host.host()).objectStore === null) return;
  await host.fetchSnapshot(source.snapshotId, { keys });
}
