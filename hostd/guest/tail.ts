import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Client } from 'ssh2';
import type { GuestChannel } from './channel.ts';
import { delay } from './delay.ts';
import { openCommand } from './exec.ts';
import { quoteArg } from './quote.ts';

const CLIENT_DEADLINE_MS = 30_000;
const RETRY_MS = 250;

export type FollowOptions = {
  channel: GuestChannel;
  path: string;
  /** Bytes to skip from the start of the file. */
  offset: number;
  /** Aborts when the reader leaves. */
  signal: AbortSignal;
};

/** Opens the follow; rejects with `guest_unreachable` when the guest does not answer at all, so that no reply was begun yet. */
export async function openFollow(options: FollowOptions): Promise<(sink: Writable) => Promise<void>> {
  const client = await options.channel.client(CLIENT_DEADLINE_MS);
  return (sink) => follow(client, sink, options);
}

/**
 * Copies a growing file of the guest until the machine ends or the reader leaves. Every byte comes once and in order: what has
 * been received decides from where the next `tail` reads after the connection was lost. Never rejects.
 */
async function follow(first: Client, sink: Writable, { channel, path, offset, signal }: FollowOptions): Promise<void> {
  const over = AbortSignal.any([signal, channel.ended]);
  let next = offset;
  let client: Client | null = first;
  while (!over.aborted) {
    try {
      client ??= await channel.client(CLIENT_DEADLINE_MS);
      // `--pid` ends it with the connection; without it a silent file would keep one `tail` per lost connection.
      const stream = await openCommand(client, `exec tail --pid=$PPID -c +${next + 1} -F -- ${quoteArg(path)} 2>/dev/null`);
      const stop = () => stream.destroy();
      over.addEventListener('abort', stop);
      try {
        for await (const chunk of stream as AsyncIterable<Buffer>) {
          next += chunk.length;
          if (!sink.write(chunk)) await once(sink, 'drain', { signal: over });
        }
      } finally {
        over.removeEventListener('abort', stop);
        stream.destroy();
      }
    } catch {
      // The connection was lost, or the guest is slow: only the end of the machine or of the reader ends a follow.
    }
    if (channel.isParked) return;
    client = null;
    await delay(RETRY_MS, over);
  }
}
