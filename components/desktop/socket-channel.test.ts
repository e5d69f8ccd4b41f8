import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type Ack, DESKTOP_INPUT_BYTES_MAX, DESKTOP_WINDOW_BYTES } from '../../server/realtime/contract.ts';
import type { AppSocket } from '../realtime/realtime-provider.tsx';
import { SocketChannel } from './socket-channel.ts';

/** A socket whose other end is the test. */
function open(reply: Ack = { ok: true }) {
  const events = new EventEmitter();
  const sent: { event: string; input: Record<string, unknown> }[] = [];
  const socket = {
    on: events.on.bind(events),
    off: events.off.bind(events),
    emit: (event: string, input: Record<string, unknown>, ack?: (reply: Ack) => void) => {
      sent.push({ event, input });
      if (ack) queueMicrotask(() => ack(reply));
    },
  } as unknown as AppSocket;
  const channel = new SocketChannel(socket, { orgSlug: 'acme', sessionId: 'ses_1' });
  const opened = new Promise<void>((resolve) => {
    channel.onopen = resolve;
  });
  const closed = new Promise<string>((resolve) => {
    channel.onclose = ({ reason }) => resolve(reason);
  });
  return { events, sent, channel, opened, closed };
}

describe('the channel of a desktop', () => {
  it('opens, sends copies cut to size, and hears its own session only', async () => {
    const { events, sent, channel, opened } = open();
    expect(channel.readyState).toBe('connecting');
    await opened;
    const heard: number[] = [];
    channel.onmessage = ({ data }) => heard.push(...new Uint8Array(data));
    events.emit('desktop.output', { sessionId: 'ses_2', data: Uint8Array.of(9).buffer });
    events.emit('desktop.output', { sessionId: 'ses_1', data: Uint8Array.of(1, 2).buffer });
    expect(heard).toEqual([1, 2]);

    const buffer = new Uint8Array(DESKTOP_INPUT_BYTES_MAX + 3).fill(7);
    channel.send(buffer);
    buffer.fill(0);
    const inputs = sent.filter(({ event }) => event === 'desktop.input').map(({ input }) => input.data as Uint8Array);
    expect(inputs.map(({ length }) => length)).toEqual([DESKTOP_INPUT_BYTES_MAX, 3]);
    expect([...inputs[1]!]).toEqual([7, 7, 7]);
  });

  it('reports what it took in, so that the stream goes on', async () => {
    const { events, sent, opened } = open();
    await opened;
    const data = new ArrayBuffer(DESKTOP_WINDOW_BYTES / 4);
    events.emit('desktop.output', { sessionId: 'ses_1', data });
    expect(sent.at(-1)).toEqual({ event: 'desktop.consumed', input: { sessionId: 'ses_1', bytes: data.byteLength } });
  });

  it('ends with the reason, and then neither sends nor listens', async () => {
    const { events, sent, channel, opened, closed } = open();
    await opened;
    events.emit('desktop.ended', { sessionId: 'ses_1', reason: 'asleep' });
    expect(await closed).toContain('fell asleep');
    channel.send(Uint8Array.of(1));
    channel.close();
    expect(sent.map(({ event }) => event)).toEqual(['desktop.open']);
    expect(events.listenerCount('desktop.output')).toBe(0);
  });

  it('says why it was refused', async () => {
    const { closed } = open({ ok: false, code: 'asleep', message: 'The machine is asleep.' });
    expect(await closed).toBe('The machine is asleep.');
  });
});
