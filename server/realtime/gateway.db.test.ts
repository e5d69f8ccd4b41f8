import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { io as connect, type Socket } from 'socket.io-client';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { createAuthSession, sessionCookieName } from '../auth/session.ts';
import { withOrg } from '../db.ts';
import type { HostClient } from '../hosts/host-client.ts';
import { newId } from '../ids.ts';
import { createInternalHandler } from '../internal/listener.ts';
import { TERMINAL_RESUME_CHARS } from '../terminal/flow-control.ts';
import { openTestDatabase } from '../testing/database.ts';
import { fillDisk } from '../testing/fill-disk.ts';
import { aMember, anOrg, aSession, type TestOrg } from '../testing/fixtures.ts';
import { testServices } from '../testing/services.ts';
import {
  type Ack,
  type ClientEvents,
  type Notice,
  type ServerEvents,
  SOCKET_PATH,
  TERMINAL_WINDOW_CHARS,
  type Trouble,
} from './contract.ts';
import { createGateway, type Gateway } from './gateway.ts';
import { listenForNotices } from './listen.ts';
import { publishNotice } from './publish.ts';
import { TROUBLE_PATH, tellTrouble } from './trouble.ts';

const database = openTestDatabase();
const { db, urls } = database;

let server: Server;
let machine: WebSocketServer;
let gateway: Gateway;
let notices: { close: () => Promise<void> };
let origin = '';
let org: TestOrg;
let services: ReturnType<typeof testServices>;
const clients: Client[] = [];
type Client = Socket<ServerEvents, ClientEvents>;

const portOf = (listening: { address: () => unknown }) => (listening.address() as AddressInfo).port;

beforeAll(async () => {
  org = await anOrg(db);
  machine = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${portOf(server)}`;
  const url = `ws://127.0.0.1:${portOf(machine)}`;
  const desktop = (_id: string, { viewOnly }: { viewOnly: boolean }) => ({
    url: `${url}/${viewOnly ? 'look' : 'touch'}`,
    headers: {},
  });
  const host = { pty: () => ({ url, headers: {} }), desktop } as unknown as HostClient;
  services = testServices(database, { url: origin, host });
  gateway = createGateway(services, server);
  const listening = Promise.withResolvers<void>();
  notices = listenForNotices({
    databaseUrl: urls.appUrl,
    logger: services.logger,
    onNotice: gateway.publish,
    onGap: () => {},
    onListening: listening.resolve,
  });
  await listening.promise;
});
afterEach(() => {
  for (const client of clients.splice(0)) client.disconnect();
});
afterAll(async () => {
  await notices.close();
  await gateway.close();
  machine.close();
});

/** The internal port beside the gateway, as web opens it. Its database is asked nothing. */
async function openInternal() {
  const grantSecret = 'grants-of-the-gateway-tests-0123456789';
  const unasked = { db: {} as typeof db, forgeDir: '/nowhere', clock: services.clock, logger: services.logger };
  const models = { kind: 'demo', model: 'warren-demo' } as const;
  const internal = createServer(createInternalHandler({ ...unasked, grantSecret, models, onTrouble: gateway.publishTrouble }));
  await new Promise<void>((resolve) => internal.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    internal.closeAllConnections();
    internal.close();
  });
  return { internalUrl: `http://127.0.0.1:${portOf(internal)}`, grantSecret };
}

async function cookieFor(userId: string): Promise<string> {
  const { token } = await createAuthSession(db, userId, new Date());
  return `${sessionCookieName(origin)}=${token}`;
}

function open(headers: Record<string, string>): Client {
  const client: Client = connect(origin, {
    path: SOCKET_PATH,
    transports: ['websocket'],
    extraHeaders: headers,
    reconnection: false,
    forceNew: true,
  });
  clients.push(client);
  return client;
}

async function signedIn(userId: string): Promise<Client> {
  const client = open({ origin, cookie: await cookieFor(userId) });
  await new Promise<void>((resolve, reject) => client.once('connect', resolve).once('connect_error', reject));
  return client;
}

const once = <T>(client: Client, event: keyof ServerEvents): Promise<T> =>
  new Promise((resolve) => client.once(event, resolve as never));
const refused = (client: Client): Promise<string> =>
  new Promise((resolve) => client.once('connect_error', (err) => resolve(err.message)));
const subscribe = (client: Client, orgSlug: string): Promise<Ack> => client.emitWithAck('subscribe', { orgSlug }) as Promise<Ack>;

async function publish(notice: Notice): Promise<void> {
  await withOrg(db, notice.orgId, async (tx) => publishNotice(tx, notice));
}

describe('connecting', () => {
  it('is refused from another origin, or without a session', async () => {
    const cookie = await cookieFor(org.ownerId);
    expect(await refused(open({ origin: 'https://evil.example', cookie }))).toBe('websocket error');
    expect(await refused(open({ cookie }))).toBe('websocket error');
    expect(await refused(open({ origin }))).toBe('unauthorized');
    expect(await refused(open({ origin, cookie: `${sessionCookieName(origin)}=made-up` }))).toBe('unauthorized');
  });

  it('is refused for polling requests from another origin too', async () => {
    const url = `${origin}${SOCKET_PATH}/?EIO=4&transport=polling`;
    expect((await fetch(url, { headers: { origin: 'https://evil.example' } })).status).toBe(403);
    expect((await fetch(url, { headers: { origin } })).status).toBe(200);
  });
});

describe('notices', () => {
  it('reach members of the organization after the commit, and nobody else', async () => {
    const other = await anOrg(db, { name: 'Other' });
    const [member, outsider] = [await signedIn(org.ownerId), await signedIn(other.ownerId)];
    expect(await subscribe(member, org.slug)).toEqual({ ok: true });
    expect(await subscribe(outsider, org.slug)).toMatchObject({ ok: false, code: 'not_found' });
    expect(await subscribe(outsider, other.slug)).toEqual({ ok: true });

    const seenByOutsider: Notice[] = [];
    outsider.on('notice', (notice) => seenByOutsider.push(notice));
    const notice: Notice = { kind: 'session', orgId: org.orgId, sessionId: newId('session'), rev: 3 };
    const arrived = once<Notice>(member, 'notice');
    await publish(notice);
    expect(await arrived).toEqual(notice);
    // A notice of their own that comes after the foreign one: by then the foreign one would have been here.
    const own: Notice = { kind: 'repository', orgId: other.orgId, repositoryId: newId('repository') };
    const arrivedOwn = once<Notice>(outsider, 'notice');
    await publish(own);
    await arrivedOwn;
    expect(seenByOutsider).toEqual([own]);
  });

  it('of a database in trouble come from workers of this installation, past the database, to its organization alone', async () => {
    const other = await anOrg(db, { name: 'Elsewhere' });
    const [member, outsider] = [await signedIn(org.ownerId), await signedIn(other.ownerId)];
    await subscribe(member, org.slug);
    await subscribe(outsider, other.slug);
    const to = await openInternal();
    const heard: Trouble[] = [];
    outsider.on('trouble', (trouble) => heard.push(trouble));
    const trouble: Trouble = { orgId: org.orgId, sessionId: newId('session'), what: 'database_full' };
    const arrived = once<Trouble>(member, 'trouble');
    await tellTrouble({ ...to, grantSecret: 'the-secret-of-another-installation-0123' }, { ...trouble, what: 'database_away' });
    await tellTrouble(to, trouble);
    expect(await arrived).toEqual(trouble);
    const theirs: Trouble = { ...trouble, orgId: other.orgId };
    const arrivedTheirs = once<Trouble>(outsider, 'trouble');
    await tellTrouble(to, theirs);
    await arrivedTheirs;
    expect(heard).toEqual([theirs]);
    const url = `${to.internalUrl}${TROUBLE_PATH}`;
    for (const body of [JSON.stringify(trouble), 'x'.repeat(100_000)]) {
      expect((await fetch(url, { method: 'POST', body, headers: { authorization: 'Bearer wt1.AAAA' } })).status).toBe(401);
    }
  });

  it('are not sent for what was rolled back', async () => {
    const member = await signedIn(org.ownerId);
    await subscribe(member, org.slug);
    const undone: Notice = { kind: 'repository', orgId: org.orgId, repositoryId: 'undone' };
    const failed = withOrg(db, org.orgId, async (tx) => {
      publishNotice(tx, undone);
      throw new Error('rolled back');
    });
    await expect(failed).rejects.toThrow();
    const next = once<Notice>(member, 'notice');
    await publish({ kind: 'repository', orgId: org.orgId, repositoryId: 'done' });
    expect(await next).toMatchObject({ repositoryId: 'done' });
  });

  it('stop for a person who was removed, and the connection ends for one who signed out', async () => {
    const userId = await aMember(db, org.orgId, 'viewer');
    const client = await signedIn(userId);
    await subscribe(client, org.slug);
    const seen: Notice[] = [];
    client.on('notice', (notice) => seen.push(notice));
    await withOrg(db, org.orgId, (tx) => tx.member.deleteMany({ where: { userId } }));
    await gateway.recheck();
    const owner = await signedIn(org.ownerId);
    await subscribe(owner, org.slug);
    const arrived = once(owner, 'notice');
    await publish({ kind: 'repository', orgId: org.orgId, repositoryId: 'later' });
    await arrived;
    expect(seen).toEqual([]);

    const gone = new Promise((resolve) => client.once('disconnect', resolve));
    await db.people.authSession.deleteMany({ where: { userId } });
    await gateway.recheck();
    expect(await gone).toBe('io server disconnect');
  });
});

async function anAwakeSession(): Promise<string> {
  const machineId = newId('machine');
  const session = await aSession(db, org, { state: 'running', machineId });
  const owner = { purpose: 'session', sessionId: session.id, lease: 1 } as const;
  const data = { id: machineId, orgId: org.orgId, hostId: newId('host'), ...owner };
  await withOrg(db, org.orgId, (tx) => tx.machine.create({ data }));
  return session.id;
}

describe('desktops', () => {
  const request = (sessionId: string, orgSlug = org.slug) => ({ orgSlug, sessionId });

  async function openDesktop(client: Client, sessionId: string): Promise<{ guest: WebSocket; asked: string }> {
    const connected = new Promise<{ guest: WebSocket; asked: string }>((resolve) =>
      machine.once('connection', (guest, req) => resolve({ guest, asked: req.url ?? '' })),
    );
    expect(await client.emitWithAck('desktop.open', request(sessionId))).toEqual({ ok: true });
    return connected;
  }

  it('carry bytes both ways, with input for developers and without for viewers', async () => {
    const sessionId = await anAwakeSession();
    const [owner, viewer] = [await signedIn(org.ownerId), await signedIn(await aMember(db, org.orgId, 'viewer'))];
    expect((await openDesktop(viewer, sessionId)).asked).toBe('/look');
    const { guest, asked } = await openDesktop(owner, sessionId);
    expect(asked).toBe('/touch');
    const heard = new Promise<Buffer>((resolve) => guest.once('message', resolve));
    owner.emit('desktop.input', { sessionId, data: Uint8Array.of(0, 255, 128) });
    expect([...(await heard)]).toEqual([0, 255, 128]);
    const shown = once<{ sessionId: string; data: Buffer }>(owner, 'desktop.output');
    guest.send(Buffer.of(1, 0, 200));
    expect(await shown).toEqual({ sessionId, data: Buffer.of(1, 0, 200) });
  });

  it('are refused to outsiders and for sleeping machines, and say when the machine falls asleep', async () => {
    const sessionId = await anAwakeSession();
    const other = await anOrg(db, { name: 'Other' });
    const [owner, outsider] = [await signedIn(org.ownerId), await signedIn(other.ownerId)];
    expect(await outsider.emitWithAck('desktop.open', request(sessionId))).toMatchObject({ code: 'not_found' });
    expect(await outsider.emitWithAck('desktop.open', request(sessionId, other.slug))).toMatchObject({ code: 'not_found' });
    expect(await owner.emitWithAck('desktop.open', {} as never)).toMatchObject({ code: 'bad_request' });
    const asleep = await aSession(db, org, { state: 'suspended' });
    expect(await owner.emitWithAck('desktop.open', request(asleep.id))).toMatchObject({ code: 'asleep' });

    const { guest } = await openDesktop(owner, sessionId);
    await withOrg(db, org.orgId, (tx) => tx.session.update({ where: { id: sessionId }, data: { machineId: null } }));
    const ended = once<{ reason: string }>(owner, 'desktop.ended');
    guest.close(1001);
    expect((await ended).reason).toBe('asleep');
  });

  it('lose nothing of what the machine says first', async () => {
    const sessionId = await anAwakeSession();
    const owner = await signedIn(org.ownerId);
    machine.once('connection', (guest) => guest.send('RFB 003.008\n'));
    const shown = once<{ data: Buffer }>(owner, 'desktop.output');
    expect(await owner.emitWithAck('desktop.open', request(sessionId))).toEqual({ ok: true });
    expect(String((await shown).data)).toBe('RFB 003.008\n');
  });

  it('that were left or asked for again before they opened do not stay open', async () => {
    const sessionId = await anAwakeSession();
    const owner = await signedIn(org.ownerId);
    const left = owner.emitWithAck('desktop.open', request(sessionId));
    owner.emit('desktop.close', { sessionId });
    const replies = [left, ...[1, 2].map(() => owner.emitWithAck('desktop.open', request(sessionId)))];
    expect((await Promise.all(replies)).filter((reply) => reply.ok)).toHaveLength(1);
    await vi.waitFor(() => expect([...machine.clients].filter((guest) => guest.readyState === guest.OPEN)).toHaveLength(1));
  });

  it('close when input is no longer the person’s to give, and for viewers when they are removed', async () => {
    const sessionId = await anAwakeSession();
    const userId = await aMember(db, org.orgId, 'developer');
    const client = await signedIn(userId);
    const controlled = await openDesktop(client, sessionId);
    const closed = new Promise((resolve) => controlled.guest.once('close', resolve));
    await withOrg(db, org.orgId, (tx) => tx.member.updateMany({ where: { userId }, data: { role: 'viewer' } }));
    await gateway.recheck();
    await closed;

    const watched = await openDesktop(client, sessionId);
    expect(watched.asked).toBe('/look');
    await gateway.recheck();
    expect(watched.guest.readyState).toBe(watched.guest.OPEN);
    const closedToo = new Promise((resolve) => watched.guest.once('close', resolve));
    await withOrg(db, org.orgId, (tx) => tx.member.deleteMany({ where: { userId } }));
    await gateway.recheck();
    await closedToo;
  });
});

describe('terminals', () => {
  const request = (sessionId: string, orgSlug = org.slug) => ({ orgSlug, sessionId, name: 'main', cols: 80, rows: 24 });

  async function openTerminal(client: Client, sessionId: string): Promise<WebSocket> {
    const connected = new Promise<WebSocket>((resolve) => machine.once('connection', (socket) => resolve(socket)));
    expect(await client.emitWithAck('terminal.open', request(sessionId))).toEqual({ ok: true });
    return connected;
  }

  it('carry bytes both ways, and characters that were cut in two', async () => {
    const client = await signedIn(org.ownerId);
    const sessionId = await anAwakeSession();
    const guest = await openTerminal(client, sessionId);
    const typed = new Promise<string>((resolve) => guest.once('message', (bytes) => resolve(bytes.toString())));
    client.emit('terminal.input', { sessionId, name: 'main', data: 'ls\r' });
    expect(await typed).toBe('ls\r');
    const resized = new Promise<string>((resolve) => guest.once('message', (bytes) => resolve(bytes.toString())));
    client.emit('terminal.resize', { sessionId, name: 'main', cols: 100, rows: 30 });
    expect(JSON.parse(await resized)).toEqual({ type: 'resize', cols: 100, rows: 30 });

    let shown = '';
    const complete = new Promise<void>((resolve) =>
      client.on('terminal.output', ({ data }) => {
        shown += data;
        if (shown.endsWith('!')) resolve();
      }),
    );
    const bytes = Buffer.from('grüß!');
    guest.send(bytes.subarray(0, 3));
    guest.send(bytes.subarray(3));
    await complete;
    expect(shown).toBe('grüß!');
  });

  it('are refused to viewers, outsiders and for sleeping machines', async () => {
    const sessionId = await anAwakeSession();
    const other = await anOrg(db, { name: 'Other' });
    const [viewer, outsider] = [await signedIn(await aMember(db, org.orgId, 'viewer')), await signedIn(other.ownerId)];
    expect(await viewer.emitWithAck('terminal.open', request(sessionId))).toMatchObject({ code: 'unauthorized' });
    expect(await outsider.emitWithAck('terminal.open', request(sessionId))).toMatchObject({ code: 'not_found' });
    expect(await outsider.emitWithAck('terminal.open', request(sessionId, other.slug))).toMatchObject({ code: 'not_found' });
    const asleep = await aSession(db, org, { state: 'suspended' });
    const owner = await signedIn(org.ownerId);
    expect(await owner.emitWithAck('terminal.open', request(asleep.id))).toMatchObject({ code: 'asleep' });
    expect(await owner.emitWithAck('terminal.open', {} as never)).toMatchObject({ code: 'bad_request' });
  });

  it('say why they ended', async () => {
    const client = await signedIn(org.ownerId);
    const sessionId = await anAwakeSession();
    const exited = once<{ reason: string }>(client, 'terminal.ended');
    (await openTerminal(client, sessionId)).close(1000);
    expect((await exited).reason).toBe('exited');
    const lost = once<{ reason: string }>(client, 'terminal.ended');
    (await openTerminal(client, sessionId)).terminate();
    expect((await lost).reason).toBe('lost');
    const guest = await openTerminal(client, sessionId);
    await withOrg(db, org.orgId, (tx) => tx.session.update({ where: { id: sessionId }, data: { machineId: null } }));
    const asleep = once<{ reason: string }>(client, 'terminal.ended');
    guest.close(1001);
    expect((await asleep).reason).toBe('asleep');
  });

  it('stop reading from the machine while the page is behind, and go on when it has caught up', async () => {
    const client = await signedIn(org.ownerId);
    const sessionId = await anAwakeSession();
    const guest = await openTerminal(client, sessionId);
    const line = 'x'.repeat(TERMINAL_WINDOW_CHARS / 10);
    let received = 0;
    const waiting: { chars: number; resolve: () => void }[] = [];
    client.on('terminal.output', ({ data }) => {
      received += data.length;
      for (const waiter of waiting) if (received >= waiter.chars) waiter.resolve();
    });
    const receivedAtLeast = (chars: number) =>
      new Promise<void>((resolve) => (received >= chars ? resolve() : waiting.push({ chars, resolve })));

    for (let sent = 0; sent < 30; sent += 1) guest.send(Buffer.from(line));
    await receivedAtLeast(TERMINAL_WINDOW_CHARS + line.length);
    // An answered round trip on the same connection: whatever was on its way has arrived.
    await subscribe(client, org.slug);
    expect(received).toBeLessThan(TERMINAL_WINDOW_CHARS * 2);
    client.emit('terminal.consumed', { sessionId, name: 'main', chars: received - TERMINAL_RESUME_CHARS });
    await receivedAtLeast(received + line.length);
    client.emit('terminal.consumed', { sessionId, name: 'main', chars: TERMINAL_WINDOW_CHARS * 10 });
    await receivedAtLeast(30 * line.length);
  });

  it('that were left or asked for again before they opened do not stay open', async () => {
    const sessionId = await anAwakeSession();
    const owner = await signedIn(org.ownerId);
    const left = owner.emitWithAck('terminal.open', request(sessionId));
    owner.emit('terminal.close', { sessionId, name: 'main' });
    const replies = [left, ...[1, 2].map(() => owner.emitWithAck('terminal.open', request(sessionId)))];
    expect((await Promise.all(replies)).filter((reply) => reply.ok)).toHaveLength(1);
    const live = () => [...machine.clients].filter((guest) => guest.readyState === guest.OPEN);
    await vi.waitFor(() => expect(live()).toHaveLength(1));
    owner.disconnect();
    await vi.waitFor(() => expect(live()).toHaveLength(0));
  });

  it('are at most sixteen, however they are asked for', async () => {
    const sessionId = await anAwakeSession();
    const owner = await signedIn(org.ownerId);
    const names = Array.from({ length: 20 }, (_, index) => `shell-${index}`);
    const replies = await Promise.all(
      names.map((name) => owner.emitWithAck('terminal.open', { ...request(sessionId), name }) as Promise<Ack>),
    );
    expect(replies.filter((reply) => reply.ok)).toHaveLength(16);
    expect(replies.find((reply) => !reply.ok)).toMatchObject({ code: 'bad_request' });
  });

  it('do not stay open when they cannot be audited', async () => {
    const sessionId = await anAwakeSession();
    const owner = await signedIn(org.ownerId);
    const { giveBack } = await fillDisk(database, 'AuditEntry');
    // One that wants no answer fails too, and takes nothing with it.
    const unheard = new Promise((resolve) => machine.once('connection', (guest) => guest.once('close', resolve)));
    (owner as { emit: (event: string, input: unknown) => void }).emit('terminal.open', request(sessionId));
    await unheard;
    const closed = new Promise((resolve) => machine.once('connection', (guest) => guest.once('close', resolve)));
    expect(await owner.emitWithAck('terminal.open', request(sessionId))).toMatchObject({ code: 'unavailable' });
    await closed;
    await giveBack();
  });

  it('close when the person loses the role, and when the page goes', async () => {
    const userId = await aMember(db, org.orgId, 'developer');
    const client = await signedIn(userId);
    const sessionId = await anAwakeSession();
    const guest = await openTerminal(client, sessionId);
    const closed = new Promise((resolve) => guest.once('close', resolve));
    await withOrg(db, org.orgId, (tx) => tx.member.updateMany({ where: { userId }, data: { role: 'viewer' } }));
    await gateway.recheck();
    await closed;

    const owner = await signedIn(org.ownerId);
    const other = await openTerminal(owner, sessionId);
    const closedToo = new Promise((resolve) => other.once('close', resolve));
    owner.disconnect();
    await closedToo;
  });
});
