import type { Prisma, Session } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import type { ClientFrame } from '../acp/frames.ts';
import { sendLine } from '../guest/send-line.ts';
import { type Driver, guestOf, inOrg } from './driver.ts';
import { answerKey } from './store-lines.ts';

/** Keys of the lines we write, as the guest remembers them. */
const requestKey = (rpcId: number) => `c${rpcId}`;

/**
 * Takes the next request id and stores the frame that carries it, before anything is written. From here on the frame is
 * to be delivered; `sendLine` makes doing so twice harmless.
 */
export async function storeRequest(tx: Tx, session: Session, build: (rpcId: number) => ClientFrame): Promise<number> {
  if (!session.machineId) throw new Error(`session ${session.id} has no machine`);
  const { nextRpcId } = await tx.session.update({
    where: { id: session.id },
    data: { nextRpcId: { increment: 1 } },
    select: { nextRpcId: true },
  });
  const rpcId = nextRpcId - 1;
  await tx.agentFrame.create({
    data: {
      orgId: session.orgId,
      sessionId: session.id,
      machineId: session.machineId,
      direction: 'client',
      offset: BigInt(rpcId),
      frame: build(rpcId) as Prisma.InputJsonObject,
    },
  });
  return rpcId;
}

/**
 * Writes everything that was stored for the agent since the request `fromRpcId`, that one included. On the normal way
 * this is one line; after a crash it is whatever the dead worker may or may not have written, and the guest leaves out
 * what it has seen.
 */
export async function deliverFrom(driver: Driver, session: Session, fromRpcId: number): Promise<void> {
  const frames = await inOrg(driver, async (tx) => {
    const where = { sessionId: session.id, direction: 'client' };
    const first = await tx.agentFrame.findFirstOrThrow({
      where: { ...where, offset: BigInt(fromRpcId) },
      orderBy: { id: 'desc' },
    });
    return tx.agentFrame.findMany({ where: { ...where, id: { gte: first.id } }, orderBy: { id: 'asc' } });
  });
  const guest = await guestOf(driver, session);
  for (const { offset, frame } of frames) {
    const key = offset < 0n ? answerKey(Number(offset)) : requestKey(Number(offset));
    await sendLine(guest, key, JSON.stringify(frame));
  }
}

/** Stores and writes a notification, such as a cancellation; its key is a request id of its own. */
export async function notifyAgent(driver: Driver, session: Session, frame: ClientFrame): Promise<void> {
  const rpcId = await inOrg(driver, (tx) => storeRequest(tx, session, () => frame));
  await sendLine(await guestOf(driver, session), requestKey(rpcId), JSON.stringify(frame));
}
