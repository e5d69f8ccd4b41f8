import { type Db, type Tx, withOrg } from '../../server/db.ts';

const BATCH_ROWS = 5_000;

/** Deletes until nothing is left, a batch per transaction: one for all may take longer than a transaction is given, every time. */
export async function deleteInBatches(
  db: Db,
  orgId: string,
  deleteRows: (tx: Tx, rowsMax: number) => Promise<number>,
  rowsMax = BATCH_ROWS,
): Promise<void> {
  let deleted: number;
  do deleted = await withOrg(db, orgId, (tx) => deleteRows(tx, rowsMax));
  while (deleted >= rowsMax);
}
