import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { ownServices } from './services.ts';
import { proxyRig } from './testing/proxy-rig.ts';

/** Left open on purpose: whatever would come next on the same connection would be its last header. */
const INNER = 'GET /inner HTTP/1.1\r\nHost: x\r\nX: a';
const CHUNKED = `${INNER.length.toString(16)}\r\n${INNER}\r\n0\r\n\r\n`;

describe('where a request ends', { timeout: 30_000 }, () => {
  const rig = proxyRig();
  const { raw, setPolicy, start } = rig;

  /** A host that answers once it has the whole body, as it reads it, and keeps every byte that it was sent. */
  async function recorder(): Promise<{ port: number; said: () => string }> {
    let said = '';
    const port = await start(
      net.createServer((socket) => {
        socket.on('data', (chunk) => {
          said += chunk.toString('latin1');
          if (said.includes('a\r\n0\r\n\r\n') || said.endsWith('X: a') || said.endsWith('abc'))
            socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
        });
      }),
    );
    return { port, said: () => said };
  }
  const ask = (method: string, url: string, headers: string, body: string) =>
    raw(`${method} ${url} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${headers}\r\n\r\n${body}`);

  describe.each(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'PROPFIND'])('%s', (method) => {
    it.each([
      ['a service', (port: number) => rig.allowService(port), 'svc.warren.internal'],
      ['a host of a rule', (port: number) => rig.allow('public.test', port), 'public.test'],
    ])('with a body in chunks reaches %s in chunks', async (_what, allow, host) => {
      const { port, said } = await recorder();
      allow(port);
      const url = host === 'public.test' ? `http://${host}:${port}/outer` : `http://${host}/outer`;
      expect(await ask(method, url, 'transfer-encoding: chunked', CHUNKED)).toMatch(/^HTTP\/1\.1 200 /);
      const [head = '', body] = said().split(/\r\n\r\n(.*)/s);
      expect(head.toLowerCase()).toContain('\r\ntransfer-encoding: chunked');
      expect(body).toBe(CHUNKED);
    });

    it('keeps the length of its body, whatever Connection says of it', async () => {
      const { port, said } = await recorder();
      rig.allowService(port);
      const url = 'http://svc.warren.internal/outer';
      const headers = 'connection: content-length, host, close\r\ncontent-length: 3';
      expect(await ask(method, url, headers, 'abc')).toMatch(/^HTTP\/1\.1 200 /);
      const [head = '', body] = said().split(/\r\n\r\n(.*)/s);
      expect(head.toLowerCase()).toContain('\r\ncontent-length: 3');
      expect(head.toLowerCase()).not.toContain('transfer-encoding');
      expect(body).toBe('abc');
    });
  });

  it('is the guest’s to say, not a secret’s', async () => {
    const { port, said } = await recorder();
    const secret = { id: 's', host: 'public.test', plainHttp: true, value: '1' };
    setPolicy({
      allow: [{ host: 'public.test', ports: [port] }],
      secrets: [
        { ...secret, header: 'content-length' },
        { ...secret, header: 'transfer-encoding', value: 'identity' },
      ],
    });
    await ask('GET', `http://public.test:${port}/`, 'transfer-encoding: chunked', CHUNKED);
    expect(said().toLowerCase()).not.toMatch(/content-length|identity/);
  });

  it('a body is refused where nothing can be written', async () => {
    let asked = 0;
    const port = await rig.listen((_req, res) => {
      asked += 1;
      res.end('ok');
    });
    rig.open({ own: ownServices({ npmUpstream: `http://127.0.0.1:${port}/` }) });
    setPolicy({});
    const url = 'http://npm.warren.internal/x';
    for (const [headers, body] of [
      ['transfer-encoding: chunked', CHUNKED],
      ['content-length: 3', 'abc'],
      ['connection: content-length\r\ncontent-length: 3', 'abc'],
    ] as const)
      expect(await ask('GET', url, headers, body)).toMatch(/^HTTP\/1\.1 403 .*without a body/s);
    expect(asked).toBe(0);
    expect(rig.proxy.log(0).map(({ reason }) => reason)).toEqual(['body', 'body', 'body']);
    expect(await ask('GET', url, 'content-length: 0', '')).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('a handshake for WebSocket has no body', async () => {
    let said = '';
    const port = await start(
      net.createServer((socket) => {
        socket.on('data', (chunk) => {
          said += chunk;
          socket.end('HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n');
        });
      }),
    );
    setPolicy({ allow: [{ host: 'public.test', ports: [port], mode: 'inspect', webSocket: true }] });
    await raw(
      `GET http://public.test:${port}/ HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: ${INNER.length}\r\n\r\n${INNER}`,
    );
    expect(said).toMatch(/^GET \/ /);
    expect(said.toLowerCase()).not.toMatch(/content-length|inner/);
  });

  it('an answer to HEAD has no body, and does not spoil the connection to the machine', async () => {
    const port = await start(
      net.createServer((socket) => {
        socket.on('data', () =>
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nHTTP/1.1 200 OK\r\nx-poison: 1\r\n\r\n'),
        );
      }),
    );
    rig.allowService(port);
    const stream = rig.connection();
    let answers = '';
    stream.on('data', (chunk) => {
      answers += chunk;
    });
    for (const times of [1, 2]) {
      stream.write('HEAD http://svc.warren.internal/ HTTP/1.1\r\nhost: x\r\n\r\n');
      await vi.waitFor(() => expect(answers.match(/HTTP\/1\.1 /g)).toHaveLength(times));
    }
    expect(answers).not.toContain('x-poison');
    stream.destroy();
  });

  it('a connection to a service is used again by its machine, and by no other', async () => {
    const seen: net.Socket[] = [];
    const port = await rig.listenTls((req, res) => {
      seen.push(req.socket);
      res.end('ok');
    }, 'localhost');
    const own = ownServices({ npmUpstream: `https://localhost:${port}/` });
    const get = async () => {
      expect((await rig.send({ path: 'http://npm.warren.internal/x' })).res.statusCode).toBe(200);
      return seen.at(-1)!;
    };
    const first = rig.open({ own });
    setPolicy({});
    const connection = await get();
    expect(await get()).toBe(connection);
    rig.open({ own });
    setPolicy({});
    expect(await get()).not.toBe(connection);
    // What is left of a machine that is gone is closed.
    const closed = once(connection, 'close');
    first.close();
    await closed;
  });
});
