import type { WorkerDeps } from '../deps.ts';

/** More than a sweep's other parts take, less than there is between two sweeps. */
const SILENT_MS = 30_000;

/** The sweep has just asked every host: for how long this one has not answered, 0 when it did. */
export async function silenceOf(deps: WorkerDeps, hostId: string | null, now: Date): Promise<number> {
  const host = hostId === null ? null : await deps.systemDb.host.findUnique({ where: { id: hostId } });
  const silentMs = host ? now.getTime() - host.lastSeenAt.getTime() : 0;
  return silentMs < SILENT_MS ? 0 : silentMs;
}
