import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import { describe, expect, it, vi } from 'vitest';
import type { EgressPolicyInput } from '../contract/egress.ts';
import { proxyRig } from './testing/proxy-rig.ts';

const SECRET = { id: 'sec_1', host: 'public.test', header: 'authorization', value: 'Bearer hidden', plainHttp: false };

describe('inspected hosts', { timeout: 30_000 }, () => {
  const rig = proxyRig();
  const { listenTls, send, setPolicy, tlsTunnel, tunnel } = rig;
  const inspect = (port: number, set: Partial<EgressPolicyInput['allow'][number]> = {}, secrets: (typeof SECRET)[] = []) =>
    setPolicy({
      allow: ['public.test', 'other.test', 'rebound.test'].map((host) => ({
        id: host,
        host,
        ports: [port],
        mode: 'inspect',
        ...set,
      })),
      secrets,
    });
  const reasons = () => rig.proxy.log(0).map(({ decision, reason, status }) => [decision, reason, status]);

  it('are read request by request, on one connection, and verified on the way out', async () => {
    const port = await listenTls((req, res) => res.end(`${req.method} ${req.headers.host} ${req.url}`));
    inspect(port, { methods: ['GET'], paths: ['/v1/**'] });
    const client = await tlsTunnel(`public.test:${port}`);
    const headers = { host: `Public.Test.:${port}` };
    const agent = Object.assign(new http.Agent({ keepAlive: true, maxSockets: 1 }), { createConnection: () => client });
    const ask = (path: string, method = 'GET') => send({ agent, path, method, headers });
    expect((await ask('/v1/%61?q')).text).toBe(`GET public.test:${port} /v1/a?q`);
    const denied = await ask('/v2');
    expect([denied.res.statusCode, denied.text]).toEqual([403, expect.stringContaining('not this path')]);
    // Each is written when it ends, which on a kept connection may be after the next has begun.
    await vi.waitFor(() => expect(reasons()).toHaveLength(3));
    expect(reasons()).toEqual(
      expect.arrayContaining([
        ['allow', 'inspect', 200],
        ['allow', 'rule', 200],
        ['deny', 'path', 403],
      ]),
    );
    expect(rig.proxy.log(1).find(({ reason }) => reason === 'rule')).toMatchObject({
      host: 'public.test',
      port,
      path: '/v1/%61',
      rule: 'public.test',
    });
  });

  it('get their secrets, in place of what the guest sent, and no other host does', async () => {
    const seen: unknown[] = [];
    const record = (req: IncomingMessage, res: http.ServerResponse) => {
      seen.push([req.headers.host, req.headers.authorization]);
      res.writeHead(302, { location: `https://other.test:${port}/` }).end();
    };
    const port = await listenTls(record);
    inspect(port, {}, [SECRET]);
    const headers = { host: `public.test:${port}`, authorization: 'mine' };
    const client = await tlsTunnel(`public.test:${port}`);
    await send({ path: '/', headers, createConnection: () => client });
    // The certificate of these tests' server is another's: the secret is not even offered to whoever pretends to be the host.
    const redirected = await tlsTunnel(`other.test:${port}`);
    const { res } = await send({ path: '/', headers: { host: `other.test:${port}` }, createConnection: () => redirected });
    expect(res.statusCode).toBe(502);
    expect(seen).toEqual([[`public.test:${port}`, 'Bearer hidden']]);
    expect(rig.proxy.log(0).map(({ secrets }) => secrets)).toEqual([[], ['sec_1'], [], []]);
    expect(JSON.stringify(rig.proxy.log(0))).not.toContain('hidden');
  });

  it.each([
    ['of an authority nobody trusts', () => listenTls((_req, res) => res.end(), 'public.test', rig.authority)],
    ['of another host', () => listenTls((_req, res) => res.end(), 'other.test')],
  ])('are not sent anything when their certificate is %s', async (_what, listen) => {
    const port = await listen();
    inspect(port, {}, [SECRET]);
    const client = await tlsTunnel(`public.test:${port}`);
    const { res, text } = await send({ path: '/', headers: { host: `public.test:${port}` }, createConnection: () => client });
    expect([res.statusCode, text]).toEqual([502, expect.stringContaining('certificate')]);
    expect(reasons().at(-1)).toEqual(['allow', 'untrusted', 502]);
  });

  it('must be the host that TLS, the tunnel and the request name', async () => {
    const port = await listenTls((_req, res) => res.end('ok'));
    inspect(port);
    const at = `public.test:${port}`;
    await expect(tlsTunnel(at, { servername: 'other.test', checkServerIdentity: () => undefined })).rejects.toThrow();
    await expect(tlsTunnel(at, { servername: '' })).rejects.toThrow();
    for (const host of [
      `other.test:${port}`,
      'public.test',
      `public.test:${port + 1}`,
      `public.test:${port}@other.test`,
      '127.0.0.1',
      ' ',
    ]) {
      const client = await tlsTunnel(at);
      const { res } = await send({ path: '/', headers: { host }, createConnection: () => client });
      expect([host, res.statusCode]).toEqual([host, 421]);
    }
    expect(reasons().filter(([, reason]) => reason !== 'inspect')).toEqual([
      ['deny', 'sni', 200],
      ['deny', 'sni', 200],
      ...Array.from({ length: 6 }, () => ['deny', 'host_mismatch', 421]),
    ]);
  });

  it('are spoken to in HTTP/1.1 only', async () => {
    const port = await listenTls((_req, res) => res.end());
    inspect(port);
    expect((await tlsTunnel(`public.test:${port}`, { ALPNProtocols: ['h2', 'http/1.1'] })).alpnProtocol).toBe('http/1.1');
    await expect(tlsTunnel(`public.test:${port}`, { ALPNProtocols: ['h2'] })).rejects.toThrow(/alert|protocol/i);
    await vi.waitFor(() => expect(reasons().at(-1)).toEqual(['deny', 'tls', 200]));
  });

  it('take plain HTTP through a tunnel as they take it otherwise', async () => {
    const port = await rig.listen((req, res) => res.end(`plain ${req.url} ${req.headers.authorization}`));
    inspect(port, { methods: ['GET'] }, [SECRET]);
    const stream = await tunnel(`public.test:${port}`);
    const { text } = await send({ path: '/x', headers: { host: `public.test:${port}` }, createConnection: () => stream });
    expect(text).toBe('plain /x undefined');
    const again = await tunnel(`public.test:${port}`);
    const denied = await send({
      path: '/x',
      method: 'POST',
      headers: { host: `public.test:${port}` },
      createConnection: () => again,
    });
    expect(denied.res.statusCode).toBe(403);
  });

  it('are no way round: neither another request line, nor a tunnel inside, nor a name that leads inside', async () => {
    const port = await listenTls((_req, res) => res.end('ok'));
    inspect(port);
    const headers = { host: `public.test:${port}` };
    const absolute = await tlsTunnel(`public.test:${port}`);
    const { res } = await send({ path: `http://other.test:${port}/`, headers, createConnection: () => absolute });
    expect(res.statusCode).toBe(400);
    const outer = await tlsTunnel(`public.test:${port}`);
    outer.write(`CONNECT other.test:${port} HTTP/1.1\r\nhost: other.test:${port}\r\n\r\n`);
    expect(String((await once(outer, 'data'))[0])).toMatch(/^HTTP\/1\.1 403 .*tunnel inside a tunnel/s);
    const inside = await tlsTunnel(`rebound.test:${port}`);
    const rebound = await send({ path: '/', headers: { host: `rebound.test:${port}` }, createConnection: () => inside });
    expect([rebound.res.statusCode, rebound.text]).toEqual([403, expect.stringContaining('private address')]);
  });

  it('deny what is neither TLS nor HTTP, and notice a client that hangs up or says nothing', async () => {
    const port = await listenTls((_req, res) => res.end());
    inspect(port);
    const garbage = await tunnel(`public.test:${port}`);
    garbage.write('\0\0\0\0 not a request\r\n\r\n');
    garbage.resume();
    await once(garbage, 'end');
    const half = await tunnel(`public.test:${port}`);
    half.write(Buffer.from([0x16, 0x03, 0x01, 0x00]));
    half.destroy();
    const nothing = await tunnel(`public.test:${port}`);
    nothing.destroy();
    await vi.waitFor(() => expect(rig.proxy.connections).toBe(0));
    expect(reasons().map(([, reason]) => reason)).toEqual(expect.arrayContaining(['bad_request', 'tls', 'idle']));
  });

  it('splice goes through unread where no rule inspects', async () => {
    const port = await listenTls((_req, res) => res.end('spliced'));
    setPolicy({ allow: [{ host: 'public.test', ports: [port] }], secrets: [SECRET] });
    const client = await tlsTunnel(`public.test:${port}`, { ca: rig.publicAuthority.certificate });
    expect((await send({ path: '/', headers: { host: 'anything' }, createConnection: () => client })).text).toBe('spliced');
  });

  describe('WebSocket', () => {
    /** Answers a handshake by hand and echoes what follows. */
    const echo = () =>
      rig.start(
        tls.createServer(
          { SNICallback: (_name, done) => done(null, rig.publicAuthority.contextFor('public.test' as never)) },
          (socket) => {
            socket.once('data', (request) => {
              socket.write(
                `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nx-seen: ${/authorization: (.*)/i.exec(String(request))?.[1]}\r\n\r\n`,
              );
              socket.pipe(socket);
            });
          },
        ),
      );
    const shake = (port: number) =>
      `GET /live HTTP/1.1\r\nhost: public.test:${port}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n\r\n`;

    it('passes where a rule says so, with the host’s secrets, and is logged when it ends', async () => {
      const port = await echo();
      inspect(port, { webSocket: true }, [SECRET]);
      const client = await tlsTunnel(`public.test:${port}`);
      let seen = '';
      client.on('data', (chunk) => {
        seen += chunk;
      });
      client.write(shake(port));
      await vi.waitFor(() => expect(seen).toMatch(/^HTTP\/1\.1 101 .*x-seen: Bearer hidden\r\n.*\r\n\r\n/is));
      client.write('frames');
      await vi.waitFor(() => expect(seen).toMatch(/frames$/));
      client.end();
      await vi.waitFor(() =>
        expect(rig.proxy.log(1)).toEqual([
          expect.objectContaining({ reason: 'rule', status: 101, bytesUp: 6, bytesDown: 6, secrets: ['sec_1'] }),
        ]),
      );
    });

    it('is refused where no rule says so', async () => {
      const port = await echo();
      inspect(port);
      const client = await tlsTunnel(`public.test:${port}`);
      client.write(shake(port));
      expect(String((await once(client, 'data'))[0])).toMatch(/^HTTP\/1\.1 403 .*WebSocket/s);
    });

    it('says so when the host does not switch', async () => {
      const port = await listenTls((_req, res) => res.writeHead(404).end());
      inspect(port, { webSocket: true });
      const client = await tlsTunnel(`public.test:${port}`);
      client.write(shake(port));
      expect(String((await once(client, 'data'))[0])).toMatch(/^HTTP\/1\.1 502 .*answered 404/s);
    });
  });
});

describe('limits', { timeout: 30_000 }, () => {
  const rig = proxyRig();
  const { connection, listen, raw, send, setPolicy, start, tunnel } = rig;
  const last = () => rig.proxy.log(0).at(-1);
  const limited = (port: number, limits: EgressPolicyInput['limits'], rule = {}) =>
    setPolicy({ allow: [{ host: 'public.test', ports: [port], ...rule }], limits });

  it('a request body beyond the cap, announced or not, is cut off and said to be', async () => {
    const port = await listen((req, res) => req.resume().on('end', () => res.end()));
    limited(port, { requestBytesMax: 1_000 });
    const at = { path: `http://public.test:${port}/`, method: 'POST' };
    const announced = await send({ ...at, headers: { 'content-length': 2_000 } }, 'x'.repeat(2_000)).catch(() => null);
    if (announced) expect(announced.res.statusCode).toBe(413);
    expect(last()).toMatchObject({ decision: 'deny', reason: 'too_large', status: 413 });
    const chunked = await send({ ...at, headers: { 'transfer-encoding': 'chunked' } }, 'x'.repeat(2_000));
    expect([chunked.res.statusCode, chunked.text]).toEqual([413, expect.stringContaining('more than 1000 bytes')]);
    expect((await send(at, 'x'.repeat(1_000))).res.statusCode).toBe(200);
  });

  it('a response beyond the cap is refused when it announces its size, and cut when it does not; a rule may say otherwise', async () => {
    const port = await listen((req, res) => {
      if (req.url === '/announced') res.setHeader('content-length', 2_000);
      res.write('x'.repeat(500));
      res.end('x'.repeat(1_500));
    });
    limited(port, { responseBytesMax: 1_000 });
    const announced = await send({ path: `http://public.test:${port}/announced` });
    expect([announced.res.statusCode, announced.text]).toEqual([413, expect.stringContaining('The response announces more')]);
    await expect(send({ path: `http://public.test:${port}/` })).rejects.toThrow(/aborted|hang up/);
    expect(last()).toMatchObject({ decision: 'deny', reason: 'too_large' });
    limited(port, { responseBytesMax: 1_000 }, { responseBytesMax: 5_000 });
    expect((await send({ path: `http://public.test:${port}/` })).text).toHaveLength(2_000);
  });

  it('a spliced connection is cut when it carries too much, or nothing for too long', async () => {
    const port = await start(net.createServer((socket) => void socket.pipe(socket)));
    limited(port, { requestBytesMax: 1_000 });
    const large = await tunnel(`public.test:${port}`);
    large.on('error', () => {});
    large.resume();
    large.write('x'.repeat(1_001));
    await vi.waitFor(() => expect(last()).toMatchObject({ decision: 'deny', reason: 'too_large' }));
    limited(port, { idleMsMax: 1_000 });
    const silent = await tunnel(`public.test:${port}`);
    silent.resume();
    await once(silent, 'end');
    expect(last()).toMatchObject({ decision: 'deny', reason: 'idle' });
  });

  it('a host that falls silent is given up', async () => {
    const port = await listen((req) => void req.resume());
    limited(port, { idleMsMax: 1_000 });
    const { res, text } = await send({ path: `http://public.test:${port}/` });
    expect([res.statusCode, text]).toEqual([504, expect.stringContaining('Nothing came for 1 s')]);
  });

  it('connections at a time', async () => {
    limited(1, { connectionsMax: 3 });
    const open = Array.from({ length: 3 }, () => connection());
    expect(await raw('')).toMatch(/^HTTP\/1\.1 503 .*too many connections are open/s);
    expect(last()).toMatchObject({ decision: 'deny', reason: 'too_many', status: 503 });
    for (const stream of open) stream.destroy();
    await vi.waitFor(async () => expect((await send({ path: 'http://evil.test/' })).res.statusCode).toBe(403));
  });

  it('requests in flight, however few connections they come on', async () => {
    let asked = 0;
    const port = await listen(() => {
      asked += 1;
    });
    rig.allowService(port);
    const guest = connection();
    guest.write('GET http://svc.warren.internal/ HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(600));
    await vi.waitFor(() => expect(rig.proxy.log(0).length).toBe(344), { timeout: 20_000 });
    expect(new Set(rig.proxy.log(0).map(({ reason }) => reason))).toEqual(new Set(['too_many']));
    await vi.waitFor(() => expect(asked).toBe(256), { timeout: 20_000 });
    guest.destroy();
    await vi.waitFor(() => expect(rig.proxy.connections).toBe(0));
  });

  it('connections and requests in a minute, with a time to come back and one line for all of them', async () => {
    const port = await listen((_req, res) => res.end());
    limited(port, { perMinuteMax: 4 });
    for (let n = 0; n < 2; n += 1) expect((await send({ path: `http://public.test:${port}/` })).res.statusCode).toBe(200);
    for (let n = 0; n < 3; n += 1) expect(await raw('')).toMatch(/^HTTP\/1\.1 429 .*retry-after: \d+\r\n.*within a minute/is);
    expect(rig.proxy.log(0).map(({ reason }) => reason)).toEqual(['rule', 'rule', 'rate']);
  });

  it('headers', async () => {
    expect(await raw(`GET http://public.test/ HTTP/1.1\r\nx: ${'x'.repeat(70_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 .*headers are larger/s,
    );
    expect(last()).toMatchObject({ decision: 'deny', reason: 'headers_too_large', status: 431 });
  });
});
