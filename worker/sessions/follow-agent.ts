import { setTimeout as sleep } from 'node:timers/promises';
import { GUEST } from '../../hostd/contract/machines.ts';
import type { Session } from '../../prisma/generated/client.ts';
import type { Tx } from '../../server/db.ts';
import type { HostClient } from '../../server/hosts/host-client.ts';
import { HostError } from '../../server/hosts/host-error.ts';
import { FrameSplitter } from '../acp/frame-splitter.ts';
import { endAgent } from '../guest/agent-process.ts';
import { sendLine } from '../guest/send-line.ts';
import { whyGone } from '../machines/open-machine.ts';
import { type Driver, guestOf } from './driver.ts';
import { type AgentReply, type Reader, storeLines } from './store-lines.ts';
import { watchAgent } from './watch-agent.ts';

/** Why following the agent ended. Everything it said until then is stored. */
export type FollowEnd =
  | { kind: 'reply'; reply: AgentReply }
  /** The session left the state it was followed in, or its machine: read it again. */
  | { kind: 'moved' }
  | { kind: 'shutdown' }
  /** Its process is not the one that was there, or none is. */
  | { kind: 'agent_gone' }
  /** It said nothing for longer than it may, did not end its turn when told to, and was ended. */
  | { kind: 'silent'; silentMs: number }
  | { kind: 'machine_gone'; reason: string };

export type FollowOptions = {
  session: Session;
  reader: Reader;
  silenceMs: number;
  /** In the transaction that stores the reply. */
  onReply: (tx: Tx, reply: AgentReply) => Promise<void>;
};

/** What the stream and its watcher know of each other. */
export type Following = {
  readonly stop: AbortController;
  end: FollowEnd | null;
  heardAt: number;
  finish: (end: FollowEnd) => void;
};

/**
 * Reads the agent's stdout from where the last reader stopped and stores it, until the awaited reply is there or there
 * is a reason to stop. A broken connection is made again, for as long as the session stays in its state: the machine
 * works on without us.
 *
 * @throws SupersededError when another worker stores the same stream
 */
export async function followAgent(driver: Driver, options: FollowOptions): Promise<FollowEnd> {
  const following: Following = {
    stop: new AbortController(),
    end: null,
    heardAt: Date.now(),
    finish(end) {
      this.end ??= end;
      this.stop.abort();
    },
  };
  const { host } = await guestOf(driver, options.session);
  const watching = watchAgent(driver, options, following);
  try {
    while (!following.end) await followOnce(driver, options, following, host);
  } finally {
    following.stop.abort();
    await watching;
  }
  // Left alone it would still be there after the next sleep, and swallow the next message too.
  if (following.end.kind === 'silent') await endAgent({ host, machineId: options.reader.machineId });
  return following.end;
}

async function followOnce(driver: Driver, options: FollowOptions, following: Following, host: HostClient): Promise<void> {
  const { reader } = options;
  const splitter = new FrameSplitter(reader.offset);
  try {
    for await (const bytes of host.tail(reader.machineId, GUEST.agentStdout, reader.offset, following.stop.signal)) {
      following.heardAt = Date.now();
      const lines = splitter.push(bytes);
      if (lines.length === 0) continue;
      const { reply, answers } = await storeLines(driver, reader, lines, options.onReply);
      if (reply) return following.finish({ kind: 'reply', reply });
      for (const { key, frame } of answers) await sendLine({ host, machineId: reader.machineId }, key, JSON.stringify(frame));
    }
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    driver.log.warn({ event: 'agent.stream_broken', code: error.code, err: error }, 'agent stream broken');
  }
  if (following.end) return;
  // A host that does not answer says nothing about its machines.
  const gone = await whyGone(host, reader.machineId).catch(() => null);
  if (gone) return following.finish({ kind: 'machine_gone', reason: gone });
  await sleep(driver.deps.patience.retryMs, undefined, { signal: following.stop.signal }).catch(() => {});
}
