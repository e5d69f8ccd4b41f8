import type { Session } from '../../prisma/generated/client.ts';
import { isHostError } from '../../server/hosts/host-error.ts';
import { cancelFrame } from '../acp/frames.ts';
import { agentProcessSchema, isSameProcess, sightAgent } from '../guest/agent-process.ts';
import { GuestCommandError } from '../guest/run-script.ts';
import { notifyAgent } from './agent-requests.ts';
import { addEvent, type Driver, guestOf, inOrg, readSession } from './driver.ts';
import type { Following, FollowOptions } from './follow-agent.ts';

/**
 * What the stream itself cannot tell: that the session was moved on or its turn is to be cancelled, that the agent's
 * process is gone, that it has been silent for too long. Never rejects; what it finds goes to `finish`.
 */
export async function watchAgent(driver: Driver, options: FollowOptions, following: Following): Promise<void> {
  const { patience, shutdown } = driver.deps;
  const stopping = AbortSignal.any([following.stop.signal, shutdown]);
  let cancelledAt: number | null = null;
  let probedAt = Date.now();
  while (!following.end && !following.stop.signal.aborted) {
    await driver.signal.next(Math.min(patience.agentProbeMs, options.silenceMs), stopping);
    if (shutdown.aborted) return following.finish({ kind: 'shutdown' });
    if (following.stop.signal.aborted) return;
    try {
      const facts = await readFacts(driver, options);
      if (facts.moved) return following.finish({ kind: 'moved' });
      if (Date.now() - following.heardAt > patience.agentProbeMs && (await standsStill(driver, options.reader.machineId))) {
        // That is no silence of the agent's.
        following.heardAt = Date.now();
        continue;
      }
      const silentMs = Date.now() - following.heardAt;
      if (cancelledAt === null && (facts.cancel || silentMs > options.silenceMs)) {
        cancelledAt = Date.now();
        await cancelTurn(driver, options.session);
      } else if (cancelledAt !== null && Date.now() - Math.max(cancelledAt, following.heardAt) > patience.cancelGraceMs) {
        return following.finish({ kind: 'silent', silentMs });
      }
      if (silentMs > patience.agentProbeMs && Date.now() - probedAt >= patience.agentProbeMs) {
        probedAt = Date.now();
        if (await isAgentGone(driver, options)) return following.finish({ kind: 'agent_gone' });
      }
    } catch (error) {
      // The next look tells more; a machine that is really gone ends the stream.
      if (!isHostError(error) && !(error instanceof GuestCommandError))
        driver.log.error({ event: 'agent.watch_failed', err: error }, 'watch failed');
    }
  }
}

/** A machine that its host had to stop says nothing and loses nothing. Told once for each time. */
async function standsStill(driver: Driver, machineId: string): Promise<boolean> {
  const session = await readSession(driver);
  const { host } = await guestOf(driver, session);
  const { stalled } = await host.machine(machineId);
  if (stalled !== null && driver.stalledOn !== machineId) {
    const title = 'The machine stands still';
    await addEvent(driver, { kind: 'error', title, detail: `${stalled}.`, nextStep: 'Free space on the host. Nothing is lost.' });
  }
  driver.stalledOn = stalled === null ? null : machineId;
  return stalled !== null;
}

async function readFacts(driver: Driver, { session, reader }: FollowOptions) {
  return inOrg(driver, async (tx) => {
    const now = await tx.session.findUniqueOrThrow({ where: { id: session.id }, select: { state: true, machineId: true } });
    const message = reader.turn
      ? await tx.message.findUnique({ where: { id: reader.turn.message.id }, select: { cancelAt: true, state: true } })
      : null;
    // A turn that another driver saw the end of has nothing more to tell here.
    const ended = message !== null && message.state !== 'delivered';
    const moved = ended || now.state !== session.state || now.machineId !== session.machineId;
    return { moved, cancel: Boolean(message?.cancelAt) };
  });
}

async function cancelTurn(driver: Driver, session: Session): Promise<void> {
  if (session.agentSessionId) await notifyAgent(driver, session, cancelFrame(session.agentSessionId));
}

/** Asked only after a silence, so that everything it wrote before it ended has been read: its last words may be the reply. */
async function isAgentGone(driver: Driver, { session, reader }: FollowOptions): Promise<boolean> {
  const guest = await guestOf(driver, session);
  const machine = await inOrg(driver, (tx) => tx.machine.findUniqueOrThrow({ where: { id: reader.machineId } }));
  const expected = agentProcessSchema.safeParse(machine.agentProcess).data ?? null;
  const { process } = await sightAgent(guest, expected);
  return process === null || (expected !== null && !isSameProcess(process, expected));
}
