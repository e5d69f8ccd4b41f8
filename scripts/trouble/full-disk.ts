import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { TRPCClientError } from '@trpc/client';
import { execInGuest } from '../demo/observe.ts';
import { homeOf } from '../postgres.ts';
import { errorsIn, eventually, type Place } from './case.ts';
import { inTurn, type Turn } from './in-turn.ts';
import { asSuperuser } from './superuser.ts';

/*
 * Real full disks. Only of a file system that is Warren's alone and no other program's: hostd's volume is one wherever
 * `npm start` made it, PostgreSQL's directory when the operator has mounted one on it.
 */
const run = promisify(execFile);
const MIB = 1024 ** 2;
const CHUNK = Buffer.alloc(64 * 1024);
/** Enough for hostd's records, less than the guest writes. */
const LEFT_FOR_HOSTD = 24 * MIB;
/** Does not fit into space that rows before it left, however well it is compressed. */
const PROBE = `Is there space for this? ${randomBytes(45_000).toString('base64')}`;

async function whyNotFill(dir: string, { settings }: Place): Promise<string | null> {
  const [own, around] = await Promise.all([stat(dir), stat(path.dirname(settings.dataDir))]);
  return own.dev === around.dev ? `${dir} shares its disk with other programs: mount a small file system on it first` : null;
}

/** Takes all but `leftBytes`. @returns how to give the space back */
async function fill(dir: string, leftBytes: number): Promise<() => Promise<void>> {
  const filler = path.join(dir, 'filler');
  const { bavail, bsize } = await statfs(dir);
  const length = bavail * bsize - leftBytes;
  if (length > MIB) await run('fallocate', ['--length', String(length - (length % MIB)), filler]);
  if (leftBytes === 0) await writeUntilFull(filler);
  return () => rm(filler, { force: true });
}

async function writeUntilFull(file: string): Promise<void> {
  const handle = await open(file, 'a');
  try {
    for (;;) await handle.write(CHUNK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    await handle.close();
  }
}

/** What a person is told who sends a message now; null when it was taken. */
async function refusalOf({ api, org, sessionId }: Turn): Promise<string | null> {
  try {
    await api.sessions.send.mutate({ org, sessionId, text: PROBE });
    return null;
  } catch (error) {
    if (error instanceof TRPCClientError) return error.message;
    throw error;
  }
}

/** PostgreSQL refuses what needs a new block, and stops when its log needs a new piece. Both are seen by a person who sends messages. */
async function fillDatabase(turn: Turn): Promise<string> {
  const giveBack = await fill(await homeOf(path.join(turn.settings.dataDir, 'postgres')), 0);
  const untilTold = (wanted: RegExp) =>
    eventually(`a refusal that says ${wanted}`, async () => {
      const refusal = await refusalOf(turn);
      return refusal !== null && wanted.test(refusal) && refusal;
    });
  try {
    const full = await untilTold(/disk is full/);
    await needMoreLog(turn);
    const away = await untilTold(/database does not answer/);
    return `filled PostgreSQL’s disk until a message was refused with “${full}” and, when it had stopped, “${away}”`;
  } finally {
    await giveBack();
  }
}

/** Makes PostgreSQL write at the beginning of a piece of its log that is not there. It ends, and with it this connection. */
async function needMoreLog({ settings }: Turn): Promise<void> {
  const client = await asSuperuser(settings);
  try {
    for (;;) {
      await client.query('select pg_switch_wal()');
      await client.query(`select pg_logical_emit_message(true, 'trouble', repeat('x', 100000))`);
    }
  } catch {
    // As it should be: the log had no space.
  } finally {
    await client.end().catch(() => {});
  }
}

/** What the guest writes while its turn goes on. */
const WRITE_MORE = 'setsid dd if=/dev/urandom of=/root/more bs=1M count=96 conv=fsync >/dev/null 2>&1 & echo';

async function fillHost(turn: Turn): Promise<string> {
  const giveBack = await fill(path.join(turn.settings.dataDir, 'hostd'), LEFT_FOR_HOSTD);
  try {
    await execInGuest(turn.hostd, turn.before.machineId, WRITE_MORE);
    const told = await eventually('the page to say that the machine stands still', async () =>
      errorsIn(await turn.rows()).find((text) => text.startsWith('The machine stands still')),
    );
    return `filled hostd’s disk until the timeline said “${told}”`;
  } finally {
    await giveBack();
  }
}

export const FULL_DISKS = {
  'database-full': inTurn({
    whyNot: async (place) => whyNotFill(await homeOf(path.join(place.settings.dataDir, 'postgres')), place),
    harm: fillDatabase,
    outcome: 'kept',
  }),
  'host-full': inTurn({
    whyNot: (place) => whyNotFill(path.join(place.settings.dataDir, 'hostd'), place),
    harm: fillHost,
    outcome: 'kept',
  }),
};
