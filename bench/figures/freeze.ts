import { Writable } from 'node:stream';
import { GuestChannel } from '../../hostd/guest/channel.ts';
import { openFollow } from '../../hostd/guest/tail.ts';
import { createLogger } from '../../hostd/logger.ts';
import type { Figures } from '../goals.ts';
import { type RunInGuest, VERIFIER } from '../guest/verifier.ts';
import type { Hostd } from '../hostd.ts';
import { orderOfRound, type Ratio, ratioOfPairs, summarize } from '../stats.ts';
import { frozenFor, TickReader } from './ticks.ts';

const TICKS = '/run/warren-ticks';
/** Long enough on both sides of the act that some ticks arrive without delay. */
const WINDOW_MS = 3_000;
/** A guest that does nothing has nothing to freeze: this one goes on writing 64 MiB of memory. */
const BUSY = 'while :; do dd if=/usr/local/bin/node of=/dev/shm/warren-busy bs=1M count=64 conv=notrunc status=none; done';

/** A guest that is awake, how its ticks come out of it, and what is done to it. */
export type Freezable = {
  name: string;
  guest: RunInGuest;
  /** Copies what is appended to the file until `signal` aborts. Resolves when it is over. */
  follow: (path: string, onBytes: (bytes: Buffer) => void, signal: AbortSignal) => Promise<void>;
  act: () => Promise<void>;
};

/** Ticks through hostd's API. */
export function followThroughApi(hostd: Hostd, machineId: string): Freezable['follow'] {
  return async (path, onBytes, signal) => {
    for await (const bytes of hostd.client.tail(machineId, path, 0, signal)) onBytes(Buffer.from(bytes));
  };
}

/** Ticks out of a plain QEMU, over the same SSH on the same kind of port. */
export function followThroughPort(socketPath: string): Freezable['follow'] {
  return async (path, onBytes, signal) => {
    const channel = new GuestChannel({
      ...{ machineId: 'mch_benchpeer0000', socketPath, carried: null, origin: 'image' },
      onProxyConnection: (stream) => stream.destroy(),
      log: createLogger({ level: 'silent' }),
    });
    await channel.start();
    try {
      const copy = await openFollow({ channel, path, offset: 0, signal });
      const sink = new Writable({
        write(bytes: Buffer, _encoding, done) {
          onBytes(bytes);
          done();
        },
      });
      await copy(sink);
    } finally {
      channel.close();
    }
  };
}

/** The guest tells what its clock shows; what the host's says when each number comes out tells for how long it stood still. */
async function frozenDuring({ guest, follow, act }: Freezable): Promise<number> {
  const reader = new TickReader();
  const over = new AbortController();
  await guest(['sh', '-c', `rm -f ${TICKS}; setsid sh -c '${BUSY}' >/dev/null 2>&1 & echo $! >/run/warren-busy.pid`]);
  await guest([VERIFIER, 'tick', TICKS]);
  const following = follow(TICKS, (bytes) => reader.take(bytes, performance.now()), over.signal);
  try {
    await reader.first;
    await settle(WINDOW_MS);
    const startedAt = performance.now();
    await act();
    const endedAt = performance.now();
    await settle(WINDOW_MS);
    return frozenFor(reader, startedAt, endedAt);
  } finally {
    over.abort();
    await following.catch(() => undefined);
    await guest([VERIFIER, 'tick', '-']);
    await guest(['sh', '-c', 'kill -- -"$(cat /run/warren-busy.pid)"; rm -f /dev/shm/warren-busy']);
  }
}

const settle = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export async function measureFreeze(options: {
  pairs: number;
  subject: Freezable;
  peer: Freezable;
  note: (line: string) => void;
}): Promise<{ figures: Figures; ratios: Record<string, Ratio>; samples: Record<string, number[]>; notes: string[] }> {
  const { pairs, subject, peer, note } = options;
  const samples = { checkpoint: [] as number[], savevm: [] as number[] };
  for (let round = 0; round < pairs; round += 1) {
    for (const side of orderOfRound([subject, peer], round)) {
      note(`${side.name}, round ${round + 1} of ${pairs}`);
      samples[side === subject ? 'checkpoint' : 'savevm'].push(await frozenDuring(side));
    }
  }
  const ratio = ratioOfPairs(samples.checkpoint, samples.savevm);
  const own = summarize(samples.checkpoint);
  return {
    figures: { 'freeze.timesShorterThanSavevm': ratio.low },
    ratios: { freeze: ratio },
    samples,
    notes: [
      `a busy guest stands still for ${own.p50.toFixed(1)} ms in a checkpoint (median; most ${own.max.toFixed(1)}), for ${summarize(samples.savevm).p50.toFixed(0)} ms in savevm, seen from inside`,
    ],
  };
}
