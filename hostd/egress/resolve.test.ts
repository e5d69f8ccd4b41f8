import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { resolveName } from './resolve.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A name server; it answers each question with the addresses, or not at all. */
async function nameServer(answers: { a?: string; empty?: boolean }): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('message', (question, { port, address }) => {
    if (!answers.a && !answers.empty) return;
    const end = question.indexOf(0, 12) + 5;
    const isA = question.readUInt16BE(end - 4) === 1;
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...(answers.a ?? '').split('.').map(Number)]);
    const reply = Buffer.concat([question.subarray(0, end), ...(isA && answers.a ? [record] : [])]);
    reply.writeUInt16BE(0x8180, 2);
    reply.writeUInt16BE(isA && answers.a ? 1 : 0, 6);
    reply.writeUInt16BE(0, 8);
    reply.writeUInt16BE(0, 10);
    socket.send(reply, port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  closers.push(() => socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

describe('resolveName', () => {
  const hostsFile = '# own names\n192.0.2.7 forge.example.com Forge # ours\n2001:db8::7\tforge.example.com\nbroken\n';
  const files = { readHosts: async () => hostsFile };

  it('asks the name server', async () => {
    expect(await resolveName('a.test', { ...files, servers: [await nameServer({ a: '192.0.2.1' })] })).toEqual(['192.0.2.1']);
  });

  it('takes what the hosts file says before it', async () => {
    const servers = [await nameServer({ a: '192.0.2.1' })];
    expect(await resolveName('forge.example.com', { ...files, servers })).toEqual(['192.0.2.7', '2001:db8::7']);
    expect(await resolveName('forge', { ...files, servers })).toEqual(['192.0.2.7']);
  });

  it('does without a hosts file', async () => {
    const readHosts = () => Promise.reject(new Error('ENOENT'));
    expect(await resolveName('a.test', { readHosts, servers: [await nameServer({ a: '192.0.2.1' })] })).toEqual(['192.0.2.1']);
  });

  it('gives up on a server that says nothing, without making anybody wait for it', async () => {
    const [silent, quick] = [await nameServer({}), await nameServer({ a: '192.0.2.1' })];
    let silentEnded = 0;
    const slow = Array.from({ length: 50 }, (_, n) =>
      resolveName(`n${n}.slow.test`, { ...files, servers: [silent], deadlineMs: 300 }).catch((error: Error) => {
        silentEnded += 1;
        return error.message;
      }),
    );
    expect(await resolveName('a.test', { ...files, servers: [quick] })).toEqual(['192.0.2.1']);
    expect(silentEnded).toBe(0);
    expect(new Set(await Promise.all(slow))).toEqual(new Set(['no name server answered in time']));
  });

  it('says so when there is no address', async () => {
    const servers = [await nameServer({ empty: true })];
    await expect(resolveName('a.test', { ...files, servers })).rejects.toThrow('ENODATA');
  });
});
