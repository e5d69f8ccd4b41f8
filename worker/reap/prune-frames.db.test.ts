import { describe, expect, it } from 'vitest';
import type { Session } from '../../prisma/generated/client.ts';
import { newId } from '../../server/ids.ts';
import { openTestDatabase } from '../../server/testing/database.ts';
import { aSession } from '../../server/testing/fixtures.ts';
import { workerRig } from '../testing/rig.ts';
import { pruneFrames } from './prune-frames.ts';

const test = openTestDatabase();
const { rig, aWorker, inOrg } = workerRig(test);
const DAY_MS = 86_400_000;

/** Seven frames, four of them too old. */
async function someFrames({ id: sessionId, orgId }: Session): Promise<void> {
  const data = [40, 39, 38, 31, 29, 2, 0].map((days, offset) => ({
    orgId,
    sessionId,
    machineId: 'mch_1',
    direction: 'agent',
    offset: BigInt(offset),
    frame: {},
    at: new Date(Date.now() - days * DAY_MS),
  }));
  await inOrg((tx) => tx.agentFrame.createMany({ data }));
}

describe('pruning raw frames', () => {
  it('removes old ones in batches, and none of a session whose turn is open', async () => {
    const sessions = [await aSession(test.db, rig.org), await aSession(test.db, rig.org)] as const;
    for (const session of sessions) await someFrames(session);
    const [, open] = sessions;
    const message = { id: newId('message'), orgId: rig.org.orgId, sessionId: open.id, kind: 'message', text: 'x' } as const;
    await inOrg((tx) => tx.message.create({ data: { ...message, state: 'delivered' } }));
    await pruneFrames(aWorker().deps, 3);
    const left = (session: Session) => inOrg((tx) => tx.agentFrame.count({ where: { sessionId: session.id } }));
    expect(await Promise.all(sessions.map(left))).toEqual([3, 7]);
    await inOrg((tx) => tx.message.update({ where: { id: message.id }, data: { state: 'done' } }));
    await pruneFrames(aWorker().deps, 3);
    expect(await Promise.all(sessions.map(left))).toEqual([3, 3]);
  });
});
