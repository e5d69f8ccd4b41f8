import { withOrg } from '../../server/db.ts';
import { rewrapDataKey } from '../../server/secrets/data-key.ts';
import type { WorkerDeps } from '../deps.ts';
import { eachOf } from './each-of.ts';

/**
 * Brings every organization's data key under the installation's current key. After a change of WARREN_SECRETS_KEY the former one
 * is needed until this has said that none is left.
 */
export async function rewrapKeys(deps: WorkerDeps): Promise<void> {
  const { current } = deps.keyring;
  const rows = await deps.systemDb.dataKey.findMany({ where: { wrappedBy: { not: current.id } }, select: { orgId: true } });
  if (rows.length === 0) return;
  await eachOf(rows, async ({ orgId }) => {
    await withOrg(deps.db, orgId, (tx) => rewrapDataKey(tx, deps.keyring, orgId));
  });
  deps.log.info(
    { event: 'secrets.rewrapped', organizations: rows.length, key: current.id },
    'data keys are wrapped with the current key; the former one is no longer needed',
  );
}
