import type { EgressFeedEntry } from '../../hostd/contract/egress.ts';
import { withOrg } from '../../server/db.ts';
import type { WorkerDeps } from '../deps.ts';

/**
 * Stores decisions under their organizations, each once however often it comes.
 *
 * @returns by machine, the highest number that its host may forget now; those of machines that nobody has heard of as well
 */
export async function storeEntries(deps: WorkerDeps, entries: readonly EgressFeedEntry[]): Promise<Record<string, number>> {
  const byMachine = Map.groupBy(entries, ({ machineId }) => machineId);
  const machines = await deps.systemDb.machine.findMany({
    where: { id: { in: [...byMachine.keys()] } },
    select: { id: true, orgId: true, sessionId: true },
  });
  for (const [orgId, ofOrg] of Map.groupBy(machines, (machine) => machine.orgId)) {
    const data = ofOrg.flatMap(({ id, sessionId }) =>
      (byMachine.get(id) ?? []).map(({ entry: { rule, secrets, bytesUp, bytesDown, ...entry } }) => ({
        ...entry,
        orgId,
        machineId: id,
        sessionId,
        ruleId: rule,
        secretIds: secrets,
        bytesUp: BigInt(bytesUp),
        bytesDown: BigInt(bytesDown),
      })),
    );
    await withOrg(deps.db, orgId, (tx) => tx.egressEntry.createMany({ data, skipDuplicates: true }));
  }
  for (const machineId of byMachine.keys()) {
    if (machines.some(({ id }) => id === machineId)) continue;
    deps.log.warn({ event: 'egress.unknown_machine', machineId }, 'decisions of a machine without a row were dropped');
  }
  return Object.fromEntries([...byMachine].map(([id, all]) => [id, Math.max(...all.map(({ entry }) => entry.seq))]));
}
