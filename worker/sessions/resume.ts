import { holdsMemory, type MachineSource, snapshotManifestSchema } from '../../hostd/contract/machines.ts';
import { type Machine, Prisma, type Session, type Snapshot } from '../../prisma/generated/client.ts';
import { isHostError } from '../../server/hosts/host-error.ts';
import { agentProcessSchema, agentStdoutBytes, isSameProcess, sightAgent } from '../guest/agent-process.ts';
import type { Guest } from '../guest/run-script.ts';
import { insertMachine, isMachineAlive, startMachine } from '../machines/open-machine.ts';
import { type Driver, inOrg, MovedError, move, StepError } from './driver.ts';
import { failOpenTurn } from './end-turn.ts';
import { settleUnheard } from './put-away.ts';
import { markResumed } from './settle-wakes.ts';

/** The transition's reason when a snapshot's memory cannot be loaded: the next try starts from its disk. */
export const MEMORY_UNUSABLE = 'the sleeping memory could not be loaded';

const TURN_ENDED_WITH_MEMORY = {
  kind: 'error' as const,
  title: 'The agent’s turn ended with the machine’s memory',
  detail: 'The machine was started from its disk, so the agent that worked on this message is gone. Files are as they were.',
  nextStep: 'Send a message to go on: the agent is started again and takes up the conversation where it can.',
};

/** What a resume needs of it; a host of another version may have written more or less of the rest. */
const manifestSchema = snapshotManifestSchema.pick({ bootId: true, deviceStateSha256: true });

/** Wakes the machine from the session's snapshot and holds what is found in it against what was put to sleep. */
export async function resume(driver: Driver, session: Session): Promise<void> {
  const { deps, ref, log } = driver;
  const snapshot = await findSnapshot(driver, session);
  const { deviceStateSha256 } = manifestSchema.parse(snapshot.manifest);
  const cold = !holdsMemory({ deviceStateSha256 }) || (await isColdStartAsked(driver));
  const source: MachineSource = { kind: cold ? 'disk' : 'resume', snapshotId: snapshot.id };
  const machine = await placeAgain(driver, session, snapshot);
  const { host, view, ms } = await startMachine(deps, { machine, source }).catch((error: unknown) => {
    if (!isHostError(error, 'incompatible') || source.kind === 'disk') throw error;
    throw new MemoryUnusableError(error.message);
  });
  const guest = { host, machineId: machine.id };
  if (source.kind === 'disk') await stayWithinFile(driver, guest, snapshot);
  const slept = await findSlept(driver, snapshot);
  const seen = await sightAgent(guest, slept.process);
  const continuity = {
    sameBootId: slept.bootId === seen.bootId,
    sameAgentProcess: isSameProcess(slept.process, seen.process),
  };
  const now = deps.clock.now();
  await move(
    driver,
    session,
    { to: 'running', reason: source.kind === 'disk' ? 'started from its disk' : 'awake' },
    async (tx) => {
      // A process that is not the one that slept holds no conversation: the next message starts the agent properly.
      const agentProcess = continuity.sameAgentProcess && seen.process ? seen.process : Prisma.DbNull;
      await tx.machine.update({ where: { id: machine.id }, data: { bootId: seen.bootId, agentProcess } });
      await markResumed(tx, ref, continuity, now);
      if (source.kind === 'disk') await failOpenTurn(tx, session, TURN_ENDED_WITH_MEMORY, now);
    },
  );
  log.info(
    { event: 'session.resumed', machineId: machine.id, source: source.kind, ms, timingsMs: view.timingsMs, ...continuity },
    'session resumed',
  );
}

/** Failing this way leads to an offer, not to another try. */
export class MemoryUnusableError extends StepError {
  constructor(detail: string) {
    super(
      'The sleeping memory could not be loaded',
      detail,
      'Retry: the machine then starts from its disk. Files are kept, running processes are not.',
    );
  }
}

async function findSnapshot(driver: Driver, session: Session): Promise<Snapshot> {
  const snapshot = session.snapshotId
    ? await inOrg(driver, (tx) => tx.snapshot.findUnique({ where: { id: session.snapshotId! } }))
    : null;
  if (snapshot) return snapshot;
  throw new StepError(
    'There is no snapshot to wake from',
    'The session never slept, or its snapshot was removed.',
    'Start a new session; pushed commits are safe.',
  );
}

/** A person retried a session whose memory could not be loaded. */
async function isColdStartAsked(driver: Driver): Promise<boolean> {
  const [, before] = await inOrg(driver, (tx) =>
    tx.sessionTransition.findMany({ where: { sessionId: driver.ref.sessionId }, orderBy: { id: 'desc' }, take: 2 }),
  );
  return before?.to === 'failed' && before.reason === MEMORY_UNUSABLE;
}

/** A new incarnation with a higher lease; or the one an earlier try began, if its host still has it. */
async function placeAgain(driver: Driver, session: Session, snapshot: Snapshot): Promise<Machine> {
  if (session.machineId) {
    const machine = await inOrg(driver, (tx) => tx.machine.findUniqueOrThrow({ where: { id: session.machineId! } }));
    const started = machine.bootId !== null;
    if (machine.endedAt === null && (!started || (await isMachineAlive(driver.deps, machine)))) return machine;
    if (machine.endedAt === null && (await settleUnheard(driver, session)))
      throw new MovedError(`session ${session.id} has a newer snapshot to wake from`);
  }
  const lease = session.lease + 1;
  const { orgId } = session;
  return inOrg(driver, async (tx) => {
    const owner = { sessionId: session.id, branch: session.branch };
    const inserted = await insertMachine(tx, { orgId, hostId: snapshot.hostId, lease, purpose: 'session', owner });
    const { count } = await tx.session.updateMany({
      // Placing raises no version: of two drivers one places.
      where: { id: session.id, version: session.version, machineId: session.machineId },
      // What was read of a machine that was lost since is not in this one's past.
      data: { machineId: inserted.id, hostId: snapshot.hostId, lease, agentOffset: snapshot.agentOffset },
    });
    if (count === 0) throw new MovedError(`session ${session.id} moved on while it was being woken`);
    return inserted;
  });
}

/** What was not on the disk yet when the memory was dropped is gone, and the agent goes on writing at an earlier place. */
async function stayWithinFile(driver: Driver, guest: Guest, snapshot: Snapshot): Promise<void> {
  const bytes = BigInt(await agentStdoutBytes(guest));
  if (bytes >= snapshot.agentOffset) return;
  await inOrg(driver, (tx) => tx.session.update({ where: { id: driver.ref.sessionId }, data: { agentOffset: bytes } }));
}

/** What ran when it was put to sleep: the boot id by its manifest, the agent's process by its machine's row. */
async function findSlept(driver: Driver, snapshot: Snapshot) {
  const { bootId } = manifestSchema.parse(snapshot.manifest);
  const machine = await inOrg(driver, (tx) => tx.machine.findUnique({ where: { id: snapshot.machineId } }));
  return { bootId, process: agentProcessSchema.safeParse(machine?.agentProcess).data ?? null };
}
