import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { execSchema } from '../contract/machines.ts';
import type { GuestChannel } from './channel.ts';
import { execInGuest } from './exec.ts';
import { type OpenChannelOptions, openChannel } from './testing/open-channel.ts';
import { hasSshd, type SshdFixture, startSshdFixture } from './testing/sshd-fixture.ts';

describe.skipIf(!hasSshd)(
  'GuestChannel over a real sshd (skipped only where openssh-server is not installed)',
  { timeout: 60_000 },
  () => {
    let sshd: SshdFixture;
    const channels: GuestChannel[] = [];

    beforeEach(async () => {
      sshd = await startSshdFixture();
    });
    afterEach(async () => {
      for (const channel of channels.splice(0)) channel.close();
      await sshd.close();
    });

    async function open(options: OpenChannelOptions = {}): Promise<GuestChannel> {
      const channel = await openChannel(sshd, options);
      channels.push(channel);
      return channel;
    }

    const say = async (channel: GuestChannel, text: string) => {
      const input = execSchema.parse({ argv: ['echo', text], user: 'root', cwd: '/' });
      return (await execInGuest(await channel.client(20_000), input)).stdout;
    };

    it('runs commands', async () => {
      expect(await say(await open(), 'hello')).toBe('hello\n');
    });

    it('comes back after sshd was killed', async () => {
      const channel = await open();
      const first = await channel.client(20_000);
      const lost = new Promise<void>((resolve) => first.once('close', () => resolve()));
      sshd.killSshd();
      // A killed sshd says no goodbye; the next one's banner reaches the old connection as garbage and ends it.
      await lost;
      expect(await say(channel, 'again')).toBe('again\n');
    });

    it('comes back after the socket was cut', async () => {
      const channel = await open();
      const first = await channel.client(20_000);
      const lost = new Promise<void>((resolve) => first.once('close', () => resolve()));
      sshd.cut();
      await lost;
      expect(await say(channel, 'again')).toBe('again\n');
    });

    it('parks with a fresh sshd waiting, whose banner serves the next channel without a word from the guest', async () => {
      const channel = await open();
      await channel.client(20_000);
      const carried = await channel.park(20_000);
      expect(carried).toMatch(/^SSH-2\.0-OpenSSH.*\r\n$/);
      await expect(channel.client(50)).rejects.toMatchObject({ code: 'guest_unreachable' });
      sshd.handOver(() => channel.close());
      const next = await open({ origin: 'resume', carried });
      expect(await say(next, 'awake')).toBe('awake\n');
      expect(next.lastConnect?.carried).toBe(true);
      expect(sshd.started()).toBe(2);
    });

    it('says nothing to a woken sshd before somebody needs it, and parks with the same banner', async () => {
      const channel = await open();
      await channel.client(20_000);
      const carried = await channel.park(20_000);
      sshd.handOver(() => channel.close());
      const next = await open({ origin: 'resume', carried });
      expect(next.isWaiting).toBe(true);
      expect(await next.park(20_000)).toBe(carried);
      sshd.handOver(() => next.close());
      expect(await say(await open({ origin: 'resume', carried }), 'awake')).toBe('awake\n');
      expect(sshd.started()).toBe(2);
    });

    it('takes up a guest that was frozen in the middle of a connection', async () => {
      const channel = await open();
      await channel.client(20_000);
      sshd.handOver(() => channel.close());
      expect(await say(await open({ origin: 'resume' }), 'awake')).toBe('awake\n');
    });

    it('takes up a guest whose sshd waits and whose banner was lost', async () => {
      const channel = await open();
      await channel.client(20_000);
      await channel.park(20_000);
      sshd.handOver(() => channel.close());
      expect(await say(await open({ origin: 'fork' }), 'awake')).toBe('awake\n');
    });

    it('falls back to a new connection when the carried banner is wrong', async () => {
      const channel = await open({ origin: 'resume', carried: 'SSH-2.0-OpenSSH_1.0\r\n' });
      expect(await say(channel, 'anyway')).toBe('anyway\n');
      expect(channel.lastConnect?.carried).toBe(false);
    });

    it('says that the guest cannot be reached when nothing answers in time', async () => {
      const channel = await open();
      await channel.client(20_000);
      channel.close();
      await expect(channel.client(20_000)).rejects.toMatchObject({ code: 'guest_unreachable' });
    });
  },
);
