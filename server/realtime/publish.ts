import { addPendingNotice, type Tx } from '../db.ts';
import type { Notice } from './contract.ts';

/** Tells every web process that something moved on, once the transaction has committed. It carries no content. */
export function publishNotice(tx: Tx, notice: Notice): void {
  addPendingNotice(tx, notice);
}
