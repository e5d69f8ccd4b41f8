import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { machineViewSchema } from '../hostd/contract/machines.ts';
import { createDb, createSystemDb, withOrg } from '../server/db.ts';
import { transition } from '../server/sessions/transition.ts';
import { wakeSession } from '../server/sessions/wake-session.ts';

/*
 * Stopping a one-computer Warren with Ctrl-C leaves no machine running: sessions are put to sleep, in the middle of a turn
 * if need be, and the next start wakes those that had work. A killed Warren does without: hostd adopts what runs.
 */
type Urls = { databaseUrl: string; systemUrl: string };
type Hostd = { url: string; token: string };

const asleepSchema = z.array(z.object({ orgId: z.string(), sessionId: z.string(), messageId: z.string() }));

function asleepFile(runDir: string): string {
  return path.join(runDir, 'asleep.json');
}

export type Waiting = {
  deadlineMs: number;
  /** Whoever stops Warren waits no longer. */
  hurry: AbortSignal;
  /** Told once, when there is something to wait for. */
  onWait: (sessions: number) => void;
};

/** Puts every running session to sleep and waits for it. Needs the worker. Returns how many still are not. */
export async function putSessionsToSleep(urls: Urls, runDir: string, { deadlineMs, hurry, onWait }: Waiting): Promise<number> {
  const db = createDb(urls.databaseUrl, { connectionsMax: 2 });
  const systemDb = createSystemDb(urls.systemUrl, { connectionsMax: 2 });
  try {
    const running = await systemDb.session.findMany({ where: { state: 'running' } });
    const withWork: z.infer<typeof asleepSchema> = [];
    for (const { orgId, id: sessionId, state, version } of running) {
      await withOrg(db, orgId, async (tx) => {
        const open = await tx.message.findFirst({
          where: { sessionId, state: { in: ['delivered', 'queued'] } },
          orderBy: { seq: 'asc' },
        });
        if (open) withWork.push({ orgId, sessionId, messageId: open.id });
        const input = { expected: { state, version }, to: 'suspending' as const, reason: 'Warren is being stopped' };
        await transition(tx, { orgId, sessionId }, { ...input, actor: { kind: 'worker' }, drive: true });
      });
    }
    await writeFile(asleepFile(runDir), JSON.stringify(withWork));
    const until = performance.now() + deadlineMs;
    for (let isFirst = true; ; isFirst = false) {
      const awake = await systemDb.session.count({ where: { state: { in: ['running', 'suspending'] } } });
      if (awake === 0 || performance.now() > until || hurry.aborted) return awake;
      if (isFirst) onWait(awake);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  } finally {
    await Promise.all([db.close(), systemDb.$disconnect()]);
  }
}

/** Wakes the sessions that a stop put to sleep in the middle of their work. Returns how many. */
export async function wakeInterrupted(databaseUrl: string, runDir: string): Promise<number> {
  const text = await readFile(asleepFile(runDir), 'utf8').catch(() => '[]');
  const interrupted = asleepSchema.safeParse(JSON.parse(text)).data ?? [];
  const db = createDb(databaseUrl, { connectionsMax: 2 });
  try {
    for (const { orgId, sessionId, messageId } of interrupted) {
      await withOrg(db, orgId, (tx) =>
        wakeSession(tx, { orgId, sessionId }, { cause: 'message', actor: { kind: 'worker' }, messageId }),
      );
    }
  } finally {
    await db.close();
  }
  await rm(asleepFile(runDir), { force: true });
  return interrupted.length;
}

/** Ends the machines that are left: of template builds and checks, whose jobs start again. Needs hostd. */
export async function endMachines(hostd: Hostd): Promise<number> {
  const headers = { authorization: `Bearer ${hostd.token}` };
  const reply = await fetch(`${hostd.url}/v1/machines`, { headers });
  const { value } = z.object({ value: z.array(machineViewSchema) }).parse(await reply.json());
  for (const { machineId, lease } of value) {
    await fetch(`${hostd.url}/v1/machines/${machineId}?lease=${lease}`, { method: 'DELETE', headers });
  }
  return value.length;
}
