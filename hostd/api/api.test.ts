import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import WebSocket from 'ws';
import { egressPolicySchema } from '../contract/egress.ts';
import { HOSTD_ERROR_CODES } from '../contract/errors.ts';
import type { ImageVariant, ImageView } from '../contract/images.ts';
import type { MachineView } from '../contract/machines.ts';
import { CONTRACT_VERSION } from '../contract/version.ts';
import { CertificateAuthority } from '../egress/authority.ts';
import { createDial } from '../egress/dial.ts';
import { EgressJournal } from '../egress/journal.ts';
import { systemTrust } from '../egress/secure.ts';
import { HostdError } from '../errors.ts';
import { Guests } from '../guest/guest-side.ts';
import { hasSshd, type SshdFixture, startSshdFixture } from '../guest/testing/sshd-fixture.ts';
import type { GuestMachine } from '../machines/guest-port.ts';
import type { MachinesPort } from './machines-port.ts';
import { createApi } from './server.ts';

const TOKEN = 'a-token-of-the-tests';
const MACHINE = 'mch_00000000000000000001';
const ASLEEP = 'mch_00000000000000000002';
const log = pino({ level: 'silent' });

/** The lifecycle as far as these tests need it: two machines, one of which runs; every verb is recorded. */
function fakeMachines(): MachinesPort & { calls: unknown[][]; fail: HostdError | Error | null } {
  const calls: unknown[][] = [];
  const port = { calls, fail: null as HostdError | Error | null };
  const record =
    <T>(name: string, value: T) =>
    async (...args: unknown[]): Promise<T> => {
      if (port.fail) throw port.fail;
      calls.push([name, ...args]);
      return value;
    };
  const get = async (machineId: string) => {
    if (machineId !== MACHINE && machineId !== ASLEEP) throw new HostdError('not_found', { message: 'no such machine' });
    return { machineId } as MachineView;
  };
  return Object.assign(port, {
    host: record('host', {} as never),
    list: record('list', []),
    get,
    create: record('create', { machineId: MACHINE } as never),
    remove: record('remove', undefined),
    suspend: record('suspend', {} as never),
    checkpoint: record('checkpoint', {} as never),
    rewind: record('rewind', {} as never),
    setEgress: record('setEgress', undefined),
    cpuMs: record('cpuMs', 120),
    console: record('console', 'boot\n'),
    snapshots: record('snapshots', []),
    snapshot: record('snapshot', {} as never),
    removeSnapshot: record('removeSnapshot', undefined),
    replicate: record('replicate', {} as never),
    fetchSnapshot: record('fetchSnapshot', {} as never),
    evict: record('evict', {} as never),
    collect: record('collect', {} as never),
  });
}

describe.skipIf(!hasSshd)(
  'API over a real sshd (skipped only where openssh-server is not installed)',
  { timeout: 60_000 },
  () => {
    let sshd: SshdFixture;
    let guests: Guests;
    let server: Server;
    let base: string;
    let dir: string;
    let own: string;
    const machines = fakeMachines();
    const images = { list: async () => [], build: vi.fn(async (variant: ImageVariant) => ({ variant }) as ImageView) };

    beforeAll(async () => {
      dir = await mkdtemp(path.join(tmpdir(), 'warren-api-'));
      sshd = await startSshdFixture();
      own = await mkdtemp(path.join(tmpdir(), 'warren-api-own-'));
      const authority = await CertificateAuthority.open({
        egressKey: path.join(own, 'ca.key'),
        egressCertificate: path.join(own, 'ca.crt'),
      });
      const journal = await EgressJournal.open(await mkdtemp(path.join(own, 'egress-')), log);
      guests = new Guests({
        dial: createDial(),
        ownServices: [],
        journal,
        authority,
        trust: systemTrust(),
        log,
        login: sshd.login,
        proxyPort: 0,
      });
      const machine = { machineId: MACHINE, sshSocketPath: sshd.socketPath, origin: 'image', carried: null, dir } as const;
      await guests.attach({
        ...machine,
        egress: egressPolicySchema.parse({ services: [], allow: [] }),
      } as unknown as GuestMachine);
      server = createApi({ machines, images, guests, token: TOKEN, log }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    afterAll(async () => {
      guests.gone(MACHINE);
      server.closeAllConnections();
      server.close();
      await sshd.close();
      for (const made of [dir, own]) await rm(made, { recursive: true, force: true });
    });

    async function call(method: string, url: string, body?: unknown, headers: Record<string, string> = {}) {
      const res = await fetch(base + url, {
        method,
        headers: { authorization: `Bearer ${TOKEN}`, ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await res.text();
      return { status: res.status, text, json: () => JSON.parse(text), headers: res.headers };
    }
    const machineUrl = (verb: string, query: Record<string, string> = {}) =>
      `/v1/machines/${MACHINE}/${verb}?${new URLSearchParams(query)}`;

    describe('refuses', () => {
      it.each(['', 'Bearer', 'Bearer wrong', `Basic ${TOKEN}`, `Bearer ${TOKEN}x`, TOKEN])(
        'the authorization %j',
        async (authorization) => {
          const { status, json } = await call('GET', '/v1/host', undefined, { authorization });
          expect([status, json().error.code]).toEqual([401, 'unauthorized']);
        },
      );

      it.each([
        ['GET', '/', 404, 'not_found'],
        ['GET', '/v1/nothing', 404, 'not_found'],
        ['POST', '/v1/host', 404, 'not_found'],
        ['GET', '/v1/machines/..%2f..%2fetc', 400, 'bad_request'],
        ['PUT', '/v1/images/desktp', 400, 'bad_request'],
        ['PUT', '/v1/images/..%2fbase', 400, 'bad_request'],
        ['GET', '/v1/machines/MCH_1', 400, 'bad_request'],
        ['GET', '/v1/machines/mch_00000000000000000009', 404, 'not_found'],
        ['GET', `/v1/machines/${ASLEEP}/activity`, 409, 'conflict'],
        ['GET', '/v1/machines/mch_00000000000000000009/activity', 404, 'not_found'],
        ['DELETE', `/v1/machines/${MACHINE}`, 400, 'bad_request'],
        ['DELETE', `/v1/machines/${MACHINE}?lease=0`, 400, 'bad_request'],
        ['GET', machineUrl('files', { path: 'relative' }), 400, 'bad_request'],
        ['GET', machineUrl('file', { path: '/a\0b' }), 400, 'bad_request'],
        ['GET', machineUrl('tail', { path: '/a', offset: '-1' }), 400, 'bad_request'],
        ['GET', machineUrl('file', { path: '/no/such/file' }), 404, 'not_found'],
      ])('%s %s with %i %s', async (method, url, status, code) => {
        const reply = await call(method, url);
        expect([reply.status, reply.json().ok, reply.json().error.code]).toEqual([status, false, code]);
        expect(reply.headers.get('x-warren-contract')).toBe(String(CONTRACT_VERSION));
      });

      it.each(['', '{', 'null', '[]', '{"argv":[]}', '{"argv":"ls"}', '{"argv":["ls"],"user":"nobody"}'])(
        'the exec %j',
        async (body) => {
          expect((await call('POST', machineUrl('exec'), body)).json().error.code).toBe('bad_request');
        },
      );

      it('a body that is too large', async () => {
        const { status } = await call('POST', machineUrl('suspend'), 'x'.repeat(1024 * 1024 + 1));
        expect(status).toBe(413);
      });

      it('another version of the contract', async () => {
        const { json } = await call('GET', '/v1/host', undefined, { 'x-warren-contract': '99' });
        expect(json().error).toMatchObject({ code: 'bad_request', message: expect.stringContaining('contract') });
      });

      it('a terminal without the token, on another path, or with a name tmux would misread', async () => {
        const status = async (url: string, authorization: string) => {
          const ws = new WebSocket(base.replace('http', 'ws') + url, { headers: { authorization } });
          ws.on('error', () => {});
          const [, res] = await once(ws, 'unexpected-response');
          res.resume();
          return res.statusCode;
        };
        expect(await status(machineUrl('pty'), 'Bearer wrong')).toBe(401);
        expect(await status('/v1/machines', `Bearer ${TOKEN}`)).toBe(404);
        expect(await status(machineUrl('pty', { name: 'a:b' }), `Bearer ${TOKEN}`)).toBe(400);
        expect(await status(`/v1/machines/${ASLEEP}/pty`, `Bearer ${TOKEN}`)).toBe(409);
        expect(await status(machineUrl('desktop', { viewOnly: '1' }), 'Bearer wrong')).toBe(401);
        expect(await status(machineUrl('desktop'), `Bearer ${TOKEN}`)).toBe(400);
        expect(await status(`/v1/machines/${ASLEEP}/desktop?viewOnly=1`, `Bearer ${TOKEN}`)).toBe(409);
      });
    });

    it.each(HOSTD_ERROR_CODES)('carries the code %s of a failing verb', async (code) => {
      machines.fail = new HostdError(code, { message: 'why', phase: 'a.step', tail: 'last words' });
      const reply = await call('GET', '/v1/host');
      machines.fail = null;
      expect(reply.json().error).toEqual({ code, message: 'why', phase: 'a.step', tail: 'last words' });
    });

    it('answers internal for anything else that is thrown, and goes on', async () => {
      machines.fail = new Error('boom');
      expect((await call('GET', '/v1/host')).json().error).toEqual({ code: 'internal', message: 'boom' });
      machines.fail = null;
      expect((await call('GET', '/v1/host')).status).toBe(200);
    });

    it('tells of images, beside the host and alone, and has one built', async () => {
      expect((await call('GET', '/v1/host')).json().value.images).toEqual([]);
      expect((await call('GET', '/v1/images')).json().value).toEqual([]);
      expect((await call('PUT', '/v1/images/desktop')).json().value).toEqual({ variant: 'desktop' });
      expect(images.build.mock.calls).toEqual([['desktop']]);
    });

    it('passes parsed verbs on to the lifecycle', async () => {
      machines.calls.length = 0;
      const snapshotId = 'snp_00000000000000000001';
      const egress = egressPolicySchema.parse({ services: [], allow: [] });
      await call('PUT', `/v1/machines/${MACHINE}`, { lease: 1, source: { kind: 'image' }, egress });
      await call('POST', machineUrl('suspend'), { lease: 2, snapshotId });
      await call('POST', machineUrl('checkpoint'), { lease: 2, snapshotId });
      await call('POST', machineUrl('rewind'), { lease: 2, snapshotId });
      await call('PUT', machineUrl('egress'), egress);
      await call('DELETE', `/v1/machines/${MACHINE}?lease=3`);
      await call('DELETE', `/v1/snapshots/${snapshotId}`);
      const created = { lease: 1, source: { kind: 'image' }, memoryMiB: 1024, vcpus: 1, diskGiB: 8, hostname: 'warren', egress };
      expect(machines.calls).toEqual([
        ['create', MACHINE, created],
        ['suspend', MACHINE, { lease: 2, snapshotId, memory: 'keep' }],
        ['checkpoint', MACHINE, { lease: 2, snapshotId }],
        ['rewind', MACHINE, { lease: 2, snapshotId }],
        ['setEgress', MACHINE, egress],
        ['remove', MACHINE, 3],
        ['removeSnapshot', snapshotId],
      ]);
      expect((await call('GET', machineUrl('console'))).text).toBe('boot\n');
    });

    it('runs a command', async () => {
      const { json } = await call('POST', machineUrl('exec'), {
        argv: ['sh', '-c', 'cat; exit 3'],
        user: 'root',
        cwd: '/',
        stdin: 'in',
      });
      expect(json()).toMatchObject({ ok: true, value: { exitCode: 3, stdout: 'in', timedOut: false } });
      const nothing = { terminals: [], execs: 0, connections: 0, egressBytes: 0 };
      expect((await call('GET', machineUrl('activity'))).json().value).toEqual({ ...nothing, cpuMs: 120 });
    });

    it('writes, lists and reads files', async () => {
      const file = path.join(dir, 'a.txt');
      const bytes = { path: file, dataBase64: Buffer.from('hi').toString('base64'), user: 'root' };
      expect((await call('POST', machineUrl('write'), { ...bytes, mode: 'replace' })).json()).toEqual({ ok: true, value: {} });
      await call('POST', machineUrl('write'), { ...bytes, mode: 'append' });
      expect(await readFile(file, 'utf8')).toBe('hihi');
      expect((await call('GET', machineUrl('file', { path: file }))).text).toBe('hihi');
      const listed = (await call('GET', machineUrl('files', { path: dir }))).json().value;
      expect(listed).toEqual([{ name: 'a.txt', kind: 'file', bytes: 4, modifiedAt: expect.any(String) }]);
    });

    it('keeps the egress log', async () => {
      expect((await call('GET', machineUrl('egress-log', { after: '0' }))).json()).toEqual({ ok: true, value: [] });
    });

    function openTerminal(query: Record<string, string>) {
      const ws = new WebSocket(base.replace('http', 'ws') + machineUrl('pty', query), {
        headers: { authorization: `Bearer ${TOKEN}` },
      });
      const seen = { text: '' };
      ws.on('message', (data: Buffer, isBinary: boolean) => {
        if (isBinary) seen.text += data.toString('utf8');
      });
      return { ws, seen, type: (text: string) => ws.send(Buffer.from(text)) };
    }

    it('serves a terminal that survives a lost connection, follows its window and ends with its shell', async () => {
      const terminal = openTerminal({ name: 'main', user: 'root', cwd: dir, cols: '90', rows: '20' });
      await once(terminal.ws, 'open');
      await vi.waitFor(() => expect(terminal.seen.text).toContain('# '), { timeout: 20_000 });
      terminal.type('echo cols=$(tput cols)\r');
      await vi.waitFor(() => expect(terminal.seen.text).toContain('cols=90'), { timeout: 20_000 });
      terminal.ws.send(JSON.stringify({ type: 'resize', cols: 70, rows: 20 }));
      // The shell may be asked before it was told.
      const askAgain = () => {
        terminal.type('echo cols=$(tput cols)\r');
        expect(terminal.seen.text).toContain('cols=70');
      };
      await vi.waitFor(askAgain, { timeout: 20_000, interval: 500 });
      const { terminals } = (await call('GET', machineUrl('activity'))).json().value;
      expect(terminals).toEqual([{ name: 'main', lastInputAt: expect.any(String) }]);
      sshd.cut();
      await vi.waitFor(
        () => {
          terminal.type('echo sum=$((40+2))\r');
          expect(terminal.seen.text).toContain('sum=42');
        },
        { timeout: 20_000, interval: 300 },
      );
      terminal.type('exit\r');
      const [code, reason] = await once(terminal.ws, 'close');
      expect([code, String(reason)]).toEqual([1000, 'exited']);
    });

    it('closes a terminal that sends text which is not a PtyControl', async () => {
      const terminal = openTerminal({ name: 'other', user: 'root', cwd: dir });
      await once(terminal.ws, 'open');
      terminal.ws.send('{"type":"resize","cols":0,"rows":1}');
      expect((await once(terminal.ws, 'close'))[0]).toBe(1007);
    });

    // Last: the machine is gone after it.
    it('follows a file until the machine is gone, and ends the reply whole', async () => {
      const file = path.join(dir, 'out');
      await writeFile(file, 'skip|one|');
      const res = await fetch(base + machineUrl('tail', { path: file, offset: '5' }), {
        headers: { authorization: `Bearer ${TOKEN}` },
      });
      expect(res.status).toBe(200);
      let text = '';
      const reading = (async () => {
        for await (const chunk of res.body!.pipeThrough(new TextDecoderStream())) text += chunk;
      })();
      await vi.waitFor(() => expect(text).toBe('one|'), { timeout: 20_000 });
      await appendFile(file, 'two|');
      await vi.waitFor(() => expect(text).toBe('one|two|'), { timeout: 20_000 });
      guests.gone(MACHINE);
      await reading;
      expect(text).toBe('one|two|');
      expect((await call('GET', machineUrl('activity'))).json().error.code).toBe('conflict');
    });
  },
);
