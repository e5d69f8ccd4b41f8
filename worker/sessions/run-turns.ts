import { type Message, Prisma, type Session } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import { environmentSchema } from '../../server/environments/environment.ts';
import { publishNotice } from '../../server/realtime/publish.ts';
import { lockSession } from '../../server/sessions/append-event.ts';
import { promptFrame } from '../acp/frames.ts';
import { agentStderrTail } from '../guest/agent-process.ts';
import { GuestCommandError } from '../guest/run-script.ts';
import { deliverFrom, storeRequest } from './agent-requests.ts';
import { ensureAgent } from './agent-session.ts';
import { describeFailure, type ErrorEvent } from './describe-failure.ts';
import { type Driver, guestOf, inOrg, readSession, ShutdownError, StepError } from './driver.ts';
import { failTurn, settleReply } from './end-turn.ts';
import { type FollowEnd, followAgent } from './follow-agent.ts';
import { idle } from './idle.ts';
import { loseMachine } from './lose-machine.ts';
import { promptText, summaryText } from './prompt-text.ts';
import { markDelivered } from './settle-wakes.ts';
import { readerOf } from './store-lines.ts';
import { beginTurn, resumeTurn, type Turn } from './turn.ts';

/**
 * A running session: give the agent what is queued, one message at a time, follow each turn to its end, and when there
 * is nothing left to do put the machine to sleep. Returns when the session has left this state.
 */
export async function runTurns(driver: Driver): Promise<void> {
  for (;;) {
    const session = await readSession(driver);
    if (session.state !== 'running') return;
    const message = await inOrg(driver, (tx) => nextMessage(tx, session.id));
    if (!message) {
      await idle(driver, session);
      continue;
    }
    try {
      if (message.state === 'delivered') await takeUp(driver, session, message);
      else await deliver(driver, session, message);
    } catch (error) {
      // What the machine's host cannot do now it may do later; what went wrong in the machine ends this message only.
      if (!(error instanceof StepError || error instanceof GuestCommandError)) throw error;
      await giveUp(driver, session, message, describeFailure('The message could not be given to the agent', error));
    }
  }
}

/** The one whose turn is open, else the first that waits. */
async function nextMessage(tx: Tx, sessionId: string): Promise<Message | null> {
  const open = await tx.message.findFirst({ where: { sessionId, state: 'delivered' }, orderBy: { seq: 'asc' } });
  return open ?? tx.message.findFirst({ where: { sessionId, state: 'queued' }, orderBy: { seq: 'asc' } });
}

/** A turn that another worker, or this machine before a sleep, began. */
async function takeUp(driver: Driver, session: Session, message: Message): Promise<void> {
  const turn = await inOrg(driver, (tx) => resumeTurn(tx, message));
  // Whoever delivered it may have died before the write: the guest knows.
  await deliverFrom(driver, session, turn.rpcId);
  await followTurn(driver, session, turn);
}

/** One message through one turn. */
async function deliver(driver: Driver, before: Session, message: Message): Promise<void> {
  const { clock } = driver.deps;
  const withoutMemory = driver.agentSeenOn !== before.machineId && (await ensureAgent(driver)) === 'new';
  driver.agentSeenOn = before.machineId;
  const delivered = await inOrg(driver, async (tx) => {
    await lockSession(tx, driver.ref.sessionId);
    const session = await tx.session.findUniqueOrThrow({ where: { id: driver.ref.sessionId } });
    // Another driver may have been as quick: under the lock only one finds it waiting.
    const waiting = await tx.message.count({ where: { id: message.id, state: 'queued' } });
    if (session.state !== 'running' || waiting === 0) return null;
    const text = await composePrompt(tx, session, message, withoutMemory);
    const rpcId = await storeRequest(tx, session, (id) => promptFrame(id, session.agentSessionId!, text));
    const { agentOffset } = session;
    const data = { state: 'delivered', rpcId, agentOffset, deliveredAt: clock.now() } as const;
    const updated = await tx.message.update({ where: { id: message.id }, data });
    publishNotice(tx, { kind: 'session', ...driver.ref });
    return { session, turn: beginTurn(updated, rpcId) };
  });
  if (!delivered) return;
  await deliverFrom(driver, delivered.session, delivered.turn.rpcId);
  await followTurn(driver, delivered.session, delivered.turn);
}

async function composePrompt(tx: Tx, session: Session, message: Message, withoutMemory: boolean): Promise<string> {
  const repository = await tx.repository.findUniqueOrThrow({ where: { id: session.repositoryId } });
  const template = session.templateId ? await tx.template.findUnique({ where: { id: session.templateId } }) : null;
  const environment = environmentSchema.safeParse(template?.environment ?? {});
  const earlier = withoutMemory
    ? await tx.message.findMany({ where: { sessionId: session.id, state: 'done' }, orderBy: { seq: 'asc' } })
    : [];
  const facts = { branch: session.branch, defaultBranch: repository.defaultBranch, checks: environment.data?.checks ?? [] };
  return promptText(message, facts, summaryText(earlier));
}

async function followTurn(driver: Driver, session: Session, turn: Turn): Promise<void> {
  const { clock, patience } = driver.deps;
  const current = await inOrg(driver, async (tx) => {
    await lockSession(tx, session.id);
    // Read together: an offset past the reply, with the message still open, would wait for what has been read.
    const open = await tx.message.count({ where: { id: turn.message.id, state: 'delivered' } });
    if (open === 0) return null;
    await markDelivered(tx, driver.ref, turn.message.id, clock.now());
    return tx.session.findUniqueOrThrow({ where: { id: session.id } });
  });
  if (current?.state !== session.state || !current.machineId) return;
  const end = await followAgent(driver, {
    session: current,
    reader: readerOf(current, turn.rpcId, turn),
    silenceMs: patience.agentSilenceMs,
    onReply: (tx, reply) => settleReply(tx, current, turn.message, reply, clock.now()),
  });
  await settleEnd(driver, current, turn, end);
}

async function settleEnd(driver: Driver, session: Session, turn: Turn, end: FollowEnd): Promise<void> {
  switch (end.kind) {
    case 'reply':
    case 'moved':
      return;
    case 'shutdown':
      throw new ShutdownError('worker is shutting down');
    case 'machine_gone':
      return loseMachine(driver, session, end.reason);
    case 'agent_gone':
      return giveUp(driver, session, turn.message, {
        kind: 'error',
        title: 'The agent’s process ended in the middle of its turn',
        detail: await errorLog(driver, session),
        nextStep: 'Send a message to go on: the agent is started again and takes up the conversation where it can.',
      });
    case 'silent':
      return giveUp(driver, session, turn.message, {
        kind: 'error',
        title: `The agent said nothing for ${Math.max(1, Math.round(end.silentMs / 60_000))} min and did not end its turn when told to`,
        detail: await errorLog(driver, session),
        nextStep: 'Send a message to go on: the agent is started again. What it wrote to files is still there.',
      });
  }
}

async function errorLog(driver: Driver, session: Session): Promise<string> {
  const tail = await agentStderrTail(await guestOf(driver, session));
  return tail ? `The end of its error log:\n${tail}` : 'It wrote nothing to its error log.';
}

/** Fails the turn and forgets the agent's process, so that the next message starts another. */
async function giveUp(driver: Driver, session: Session, message: Message, event: ErrorEvent): Promise<void> {
  driver.agentSeenOn = null;
  await inOrg(driver, async (tx) => {
    await failTurn(tx, session, message, event, driver.deps.clock.now());
    await tx.machine.update({ where: { id: session.machineId! }, data: { agentProcess: Prisma.DbNull } });
  });
}
