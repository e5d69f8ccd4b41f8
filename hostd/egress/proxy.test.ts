import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import net from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { HOST_CORPUS } from '../contract/testing/host-corpus.ts';
import { memoryJournal } from './testing/memory-journal.ts';
import { proxyRig } from './testing/proxy-rig.ts';

describe('EgressProxy', { timeout: 30_000 }, () => {
  const rig = proxyRig();
  const { allow, allowService, connection, listen, raw, send, setPolicy, start } = rig;

  it('counts what passes in both directions', async () => {
    const port = await listen((req, res) => {
      req.resume().once('end', () => res.end('d'.repeat(5000)));
    });
    allow('public.test', port);
    await send({ path: `http://public.test:${port}/`, method: 'POST' }, 'u'.repeat(3000));
    expect(rig.proxy.bytesMoved).toBe(8000);
  });

  it.each([
    ['nothing', ''],
    ['half a header', 'GET http://public.test/ HTTP/1.1\r\nhost: pub'],
  ])('answers with 504 and ends when %s comes in time', async (_what, text) => {
    rig.open({ headersMsMax: 60 });
    expect(await raw(text)).toMatch(/^HTTP\/1\.1 504 /);
  });

  describe('services', () => {
    it('replaces what the guest claims to be, and strips what is for the proxy alone', async () => {
      let seen: IncomingMessage | undefined;
      const port = await listen((req, res) => {
        seen = req;
        res.end('ok');
      });
      allowService(port, { Authorization: 'Bearer hidden' }, '/git');
      const headers = {
        authorization: 'Basic guest',
        cookie: 'a=b',
        'proxy-authorization': 'Basic x',
        connection: 'x-private',
        'x-private': '1',
        'x-forwarded-for': '1.2.3.4',
        'x-warren-machine': 'other',
        accept: 'text/x',
        host: 'evil.test',
      };
      const { res, text } = await send({ path: 'http://SVC.warren.internal/a/b.git?x=1', headers });
      expect([res.statusCode, text]).toEqual([200, 'ok']);
      expect(seen?.url).toBe('/git/a/b.git?x=1');
      expect(seen?.headers).toEqual({
        authorization: 'Bearer hidden',
        accept: 'text/x',
        host: `127.0.0.1:${port}`,
        connection: 'close',
      });
      expect(rig.proxy.log(0)).toEqual([
        expect.objectContaining({
          seq: 1,
          decision: 'allow',
          reason: 'service',
          host: 'svc.warren.internal',
          path: '/a/b.git',
          status: 200,
          bytesDown: 2,
        }),
      ]);
      expect(JSON.stringify(rig.proxy.log(0))).not.toContain('hidden');
    });

    it.each([
      ['http://svc.warren.internal/../models/x', '/git/models/x'],
      ['http://svc.warren.internal/a/%2e%2e/%2E%2e/x', '/git/x'],
      ['http://svc.warren.internal/..\\..\\x', '/git/x'],
      ['http://svc.warren.internal', '/git/'],
      ['http://svc.warren.internal?q=1', '/git/?q=1'],
      ['http://svc.warren.internal//evil.test/x', '/git//evil.test/x'],
    ])('keeps %s below the path of its upstream', async (line, expected) => {
      let seen = '';
      const port = await listen((req, res) => {
        seen = req.url ?? '';
        res.end();
      });
      allowService(port, {}, '/git');
      await send({ path: line });
      expect(seen).toBe(expected);
    });

    it('hands on each event as it comes', async () => {
      let next: () => void = () => {};
      const port = await listen((_req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write('data: 1\n\n');
        next = () => res.end('data: 2\n\n');
      });
      allowService(port);
      const req = http.get({ path: 'http://svc.warren.internal/', createConnection: () => connection() });
      const [res] = (await once(req, 'response')) as [IncomingMessage];
      const events = res[Symbol.asyncIterator]();
      expect(String((await events.next()).value)).toBe('data: 1\n\n');
      expect(rig.proxy.connections).toBe(1);
      next();
      expect(String((await events.next()).value)).toBe('data: 2\n\n');
      expect((await events.next()).done).toBe(true);
      await vi.waitFor(() => expect(rig.proxy.connections).toBe(0));
    });

    it('streams a large body both ways', async () => {
      const port = await listen((req, res) => void req.pipe(res));
      allowService(port);
      const body = Buffer.alloc(5_000_000, 'abc');
      const { text } = await send({ path: 'http://svc.warren.internal/', method: 'POST' }, body);
      expect(text.length).toBe(body.length);
      expect(rig.proxy.log(0)[0]).toMatchObject({ bytesUp: body.length, bytesDown: body.length });
    });

    it('refuses a body beyond the cap before it is sent', async () => {
      allowService(await listen((req) => void req.resume()));
      const req = http.request({
        path: 'http://svc.warren.internal/',
        method: 'POST',
        headers: { 'content-length': 600 * 1024 * 1024 },
        createConnection: () => connection(),
      });
      req.on('error', () => {});
      req.flushHeaders();
      const [res] = (await once(req, 'response')) as [IncomingMessage];
      expect(res.statusCode).toBe(413);
      expect(rig.proxy.log(0)[0]).toMatchObject({ decision: 'deny', reason: 'too_large' });
      req.destroy();
    });

    it('ends the upstream request when the machine hangs up', async () => {
      const upstreamClosed = Promise.withResolvers<void>();
      const port = await listen((_req, res) => {
        res.once('close', () => upstreamClosed.resolve());
        res.write('x');
      });
      allowService(port);
      const stream = connection();
      stream.write('GET http://svc.warren.internal/ HTTP/1.1\r\nhost: x\r\n\r\n');
      await once(stream, 'data');
      stream.destroy();
      await upstreamClosed.promise;
      await vi.waitFor(() => expect(rig.proxy.connections).toBe(0));
    });

    it('says 502 when the upstream is down, and cuts a response that broke half-way', async () => {
      allowService(1);
      expect((await send({ path: 'http://svc.warren.internal/' })).res.statusCode).toBe(502);
      allowService(
        await listen((_req, res) => {
          res.writeHead(200, { 'content-length': 10 });
          res.write('12345');
          setImmediate(() => res.destroy());
        }),
      );
      await expect(send({ path: 'http://svc.warren.internal/' })).rejects.toThrow(/aborted|hang up/);
    });

    it.each([
      'HTTP/1.1 099 Odd\r\n\r\n',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
      'not HTTP\r\n\r\n',
      '',
    ])('says 502 when the upstream answers %j', async (answer) => {
      allowService(await start(net.createServer((socket) => void socket.end(answer))));
      expect((await send({ path: 'http://svc.warren.internal/' })).res.statusCode).toBe(502);
    });

    it('says 502 when a header of the policy cannot be sent', async () => {
      allowService(1, { authorization: 'a\r\nb' });
      expect((await send({ path: 'http://svc.warren.internal/' })).res.statusCode).toBe(502);
      await vi.waitFor(() => expect(rig.proxy.connections).toBe(0));
    });

    it('serves a client that tunnels plain HTTP, still deciding each request', async () => {
      const port = await listen((req, res) => res.end(`${req.headers.authorization} ${req.url}`));
      allowService(port, { authorization: 'Bearer hidden' });
      const stream = connection();
      stream.write('CONNECT svc.warren.internal:80 HTTP/1.1\r\nhost: svc.warren.internal:80\r\n\r\n');
      expect(String((await once(stream, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /);
      const req = http.get({ path: '/inside', headers: { host: 'evil.test' }, createConnection: () => stream });
      const [res] = (await once(req, 'response')) as [IncomingMessage];
      expect(String((await once(res, 'data'))[0])).toBe('Bearer hidden /inside');
    });
  });

  it('denies a tunnel inside a tunnel', async () => {
    allowService(await listen((_req, res) => res.end('ok')));
    const stream = connection();
    stream.write('CONNECT svc.warren.internal:80 HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(stream, 'data');
    stream.write('CONNECT svc.warren.internal:80 HTTP/1.1\r\nhost: x\r\n\r\n');
    expect(String((await once(stream, 'data'))[0])).toMatch(/^HTTP\/1\.1 403 .*tunnel inside a tunnel/s);
    expect(rig.proxy.log(1)).toEqual([expect.objectContaining({ decision: 'deny', reason: 'nested' })]);
  });

  describe('allow-listed hosts', () => {
    it('forwards plain HTTP with the name that was decided as host', async () => {
      const port = await listen((req, res) => res.end(`${req.headers.host} ${req.url} ${req.headers.authorization}`));
      allow('public.test', port);
      const headers = { host: 'other.test', authorization: 'mine' };
      const { text } = await send({ path: `http://Public.test.:${port}/x?y`, headers });
      expect(text).toBe(`public.test:${port} /x?y mine`);
    });

    it('holds requests to the methods and paths of their rule, and sends the path it compared', async () => {
      const port = await listen((req, res) => res.end(`${req.method} ${req.url}`));
      const rule = { id: 'rul_1', host: 'public.test', ports: [port], mode: 'inspect' as const };
      setPolicy({ allow: [{ ...rule, methods: ['GET'], paths: ['/v1/**'] }] });
      const base = `http://public.test:${port}`;
      expect((await send({ path: `${base}/v1/%61?b=..` })).text).toBe('GET /v1/a?b=..');
      const denied = async (path: string, method = 'GET') => {
        const { res, text } = await send({ path: base + path, method });
        return [res.statusCode, text];
      };
      expect(await denied('/v2')).toEqual([403, expect.stringContaining('not this path')]);
      expect(await denied('/v1/a', 'POST')).toEqual([403, expect.stringContaining('not with this method')]);
      expect(await denied('/v1/%2e%2e/v2')).toEqual([400, expect.stringContaining('. or .. as a segment')]);
      expect(rig.proxy.log(0).map(({ reason, rule }) => [reason, rule])).toEqual([
        ['rule', 'rul_1'],
        ['path', null],
        ['method', null],
        ['bad_path', null],
      ]);
    });

    it.each([
      [{ methods: ['POST' as const] }, []],
      [{ paths: ['/**'] }, []],
      [{}, ['x-http-method-override', 'x-original-url']],
    ])('takes headers that would name another method or path from requests held to %j', async (set, expected) => {
      const port = await listen((req, res) =>
        res.end(JSON.stringify(Object.keys(req.headers).filter((name) => /^x/.test(name)))),
      );
      setPolicy({ allow: [{ host: 'public.test', ports: [port], mode: 'inspect', ...set }] });
      const headers =
        expected.length > 0
          ? { 'X-HTTP-Method-Override': 'DELETE', 'X-Original-URL': '/admin' }
          : Object.fromEntries(
              [
                'X-HTTP-Method-Override',
                'X-HTTP-Method',
                'X_HTTP_Method_Override',
                'X-Method-Override',
                'X-Original-URL',
                'X-Rewrite-URL',
              ].map((name) => [name, '/admin']),
            );
      const { text } = await send({ path: `http://public.test:${port}/x`, method: 'POST', headers });
      expect(JSON.parse(text)).toEqual(expected);
    });

    it('tunnels bytes both ways', async () => {
      const port = await start(net.createServer((socket) => void socket.pipe(socket)));
      allow('public.test', port);
      const stream = connection();
      stream.write(`CONNECT public.test:${port} HTTP/1.1\r\nhost: x\r\n\r\nearly`);
      let seen = '';
      stream.on('data', (chunk) => {
        seen += chunk;
      });
      await vi.waitFor(() => expect(seen).toMatch(/^HTTP\/1\.1 200 .*\r\n\r\nearly$/s));
      stream.end(' late');
      await once(stream, 'end');
      expect(seen).toMatch(/early late$/);
      await vi.waitFor(() =>
        expect(rig.proxy.log(0)[0]).toMatchObject({ method: 'CONNECT', reason: 'rule', bytesUp: 10, bytesDown: 10 }),
      );
    });

    it('dials only the public addresses of a name', async () => {
      const port = await listen((_req, res) => res.end('public'));
      allow('mixed.test', port);
      expect((await send({ path: `http://mixed.test:${port}/` })).text).toBe('public');
    });

    it('refuses a name that leads inside', async () => {
      allow('rebound.test', 80);
      const { res, text } = await send({ path: 'http://rebound.test/' });
      expect([res.statusCode, text]).toEqual([403, expect.stringContaining('private address')]);
      expect(await raw('CONNECT rebound.test:80 HTTP/1.1\r\nhost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /);
      expect(rig.proxy.log(0).map(({ decision, reason }) => [decision, reason])).toEqual([
        ['deny', 'private_address'],
        ['deny', 'private_address'],
      ]);
    });

    it('says 502 for a name that does not resolve', async () => {
      allow('nowhere.test', 443);
      expect(await raw('CONNECT nowhere.test:443 HTTP/1.1\r\nhost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 502 .*ENOTFOUND/s);
    });
  });

  describe('secrets', () => {
    const SECRET = { id: 'sec_1', host: 'public.test', header: 'authorization', value: 'Bearer hidden', plainHttp: true };
    const withSecrets = (port: number, ...secrets: (typeof SECRET)[]) => {
      const allow = ['public.test', 'other.test'].map((host) => ({ host, ports: [port] }));
      setPolicy({ allow, secrets });
    };
    const echo = () =>
      listen((req, res) => res.end(JSON.stringify([req.headers.host, req.headers.authorization, req.headers['x-key']])));

    it('are added to requests of their host, in place of what the guest sent, and to no other', async () => {
      const port = await echo();
      withSecrets(port, SECRET, { ...SECRET, id: 'sec_2', header: 'x-key', value: 'k' });
      const headers = { Authorization: 'mine', 'X-Key': 'mine' };
      const ask = async (host: string) => JSON.parse((await send({ path: `http://${host}:${port}/`, headers })).text);
      expect(await ask('Public.TEST.')).toEqual([`public.test:${port}`, 'Bearer hidden', 'k']);
      expect(await ask('other.test')).toEqual([`other.test:${port}`, 'mine', 'mine']);
      expect(rig.proxy.log(0).map(({ secrets }) => secrets)).toEqual([['sec_1', 'sec_2'], []]);
    });

    it('do not go over plain HTTP unless they may', async () => {
      const port = await echo();
      withSecrets(port, { ...SECRET, plainHttp: false });
      expect(JSON.parse((await send({ path: `http://public.test:${port}/` })).text)).toEqual([`public.test:${port}`, null, null]);
    });

    it('are in neither log nor error, also when they cannot be sent', async () => {
      const port = await echo();
      withSecrets(port, { ...SECRET, value: 'hid\nden' }, { ...SECRET, header: 'x-key', value: 'hidden' });
      const { res, text } = await send({ path: `http://public.test:${port}/` });
      expect(res.statusCode).toBe(502);
      expect(text + JSON.stringify(rig.proxy.log(0))).not.toMatch(/hid/);
    });

    it('do not follow a redirect to another host', async () => {
      let port = 0;
      const seen: unknown[] = [];
      port = await listen((req, res) => {
        seen.push([req.headers.host, req.headers.authorization]);
        if (req.url === '/') res.writeHead(302, { location: `http://other.test:${port}/there` });
        res.end();
      });
      withSecrets(port, SECRET);
      const { res } = await send({ path: `http://public.test:${port}/` });
      await send({ path: res.headers.location! });
      expect(seen).toEqual([
        [`public.test:${port}`, 'Bearer hidden'],
        [`other.test:${port}`, undefined],
      ]);
    });
  });

  describe('denials', () => {
    it('names the host and says how to allow it', async () => {
      const { res, text } = await send({ path: 'http://evil.test/secret?token=1' });
      expect(res.statusCode).toBe(403);
      expect(text).toContain('evil.test:80');
      expect(text).toContain('An admin of the organization can allow it');
      expect(rig.proxy.log(0)).toEqual([
        expect.objectContaining({ decision: 'deny', reason: 'not_listed', path: '/secret', status: 403 }),
      ]);
    });

    it('says why in the status line, for programs that show nothing else', async () => {
      const why = 'Warren did not let this machine reach evil.test:443: the host is not on the allow-list of your organization.';
      expect(await raw('CONNECT evil.test:443 HTTP/1.1\r\nhost: x\r\n\r\n')).toMatch(`HTTP/1.1 403 ${why}\r\n`);
      expect((await send({ path: 'http://evil.test:443/' })).res.statusMessage).toBe(why);
      const odd = await raw('CONNECT b\u00e4d\u0001.test:443 HTTP/1.1\r\nhost: x\r\n\r\n');
      expect(odd).toMatch(/^HTTP\/1\.1 40[03] [ -~]+\r\n/);
    });

    it.each([
      ['CONNECT 127.0.0.1:443 HTTP/1.1\r\nhost: x\r\n\r\n', 403],
      ['CONNECT evil.test HTTP/1.1\r\nhost: x\r\n\r\n', 403],
      ['GET http://user@evil.test/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 403],
      ['GET http://evil%00.test/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 403],
      ['GET https://evil.test/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 400],
      ['GET / HTTP/1.1\r\nhost: svc.warren.internal\r\nconnection: close\r\n\r\n', 400],
      ['GET ftp://evil.test/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 400],
    ])('%j gets %i', async (text, status) => {
      expect(await raw(text)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    });

    it.each([
      '\0\0\0\0',
      'GET',
      'GET / HTTP/9.9\r\n\r\n',
      `GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
      'POST http://a/ HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
    ])('closes on what is not a request (%#)', async (text) => {
      const stream = connection();
      stream.on('error', () => {});
      stream.end(text);
      stream.resume();
      await once(stream, 'close');
    });

    it('reads every host of the corpus as all others read it', async () => {
      setPolicy({ allow: [{ host: 'example.com', ports: [1] }] });
      for (const { text, is } of HOST_CORPUS.filter((one) => /^[!-~]+$/.test(one.text) && !/[/#?\\]|:\d+$/.test(one.text))) {
        const before = rig.proxy.log(0).length;
        await raw(`CONNECT ${text}:443 HTTP/1.1\r\nhost: x\r\n\r\n`);
        await raw(`GET http://${text}:8080/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
        const expected = is === null ? 'bad_host' : is.kind === 'address' ? 'address' : undefined;
        const [tunnelled, plain] = rig.proxy.log(0).slice(before);
        for (const entry of [tunnelled, plain]) {
          expect(entry?.decision, text).toBe('deny');
          expect(entry?.reason, text).toBe(
            expected ?? (is?.kind === 'name' && is.name === 'example.com' ? 'bad_port' : 'not_listed'),
          );
          if (is) expect(entry?.host).toBe(is.kind === 'name' ? is.name : is.address);
        }
      }
    });

    it('denies a websocket', async () => {
      allow('public.test', 80);
      const text = 'GET http://public.test/ HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
      expect(await raw(text)).toMatch(/^HTTP\/1\.1 403 .*WebSocket/s);
    });

    it('waits for a policy, refuses when none comes, and denies everything after the machine is gone', async () => {
      const port = await listen((_req, res) => res.end('ok'));
      rig.open();
      const waiting = [send({ path: `http://public.test:${port}/` }), send({ path: 'http://evil.test/' })];
      await vi.waitFor(() => expect(rig.proxy.connections).toBe(2));
      allow('public.test', port);
      expect((await Promise.all(waiting)).map(({ res }) => res.statusCode)).toEqual([200, 403]);
      rig.proxy.close();
      rig.open({ policyWaitMs: 20 });
      expect(await raw('CONNECT public.test:443 HTTP/1.1\r\nhost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 503 .*started anew/s);
      expect(rig.proxy.log(0)).toEqual([expect.objectContaining({ decision: 'deny', reason: 'no_policy' })]);
      rig.proxy.close();
      expect(await raw('CONNECT public.test:443 HTTP/1.1\r\nhost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /);
    });

    it('refuses everything while decisions cannot be logged', async () => {
      rig.open({ log: { ...memoryJournal(), isFull: true } });
      allow('public.test', 1);
      expect(await raw('CONNECT public.test:1 HTTP/1.1\r\nhost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 503 .*not being collected/s);
    });
  });

  it('puts a new policy in force at once', async () => {
    const port = await listen((_req, res) => res.end('ok'));
    allowService(port);
    expect((await send({ path: 'http://svc.warren.internal/' })).res.statusCode).toBe(200);
    setPolicy({});
    expect((await send({ path: 'http://svc.warren.internal/' })).res.statusCode).toBe(403);
  });
});
