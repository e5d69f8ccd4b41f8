import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http, { type IncomingMessage, type RequestListener } from 'node:http';
import https from 'node:https';
import type net from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Duplex, duplexPair } from 'node:stream';
import tls, { type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { type CanonicalHost, parseHost } from '../../contract/canonical-host.ts';
import { type EgressPolicyInput, egressPolicySchema } from '../../contract/egress.ts';
import { CertificateAuthority } from '../authority.ts';
import { createDial } from '../dial.ts';
import { EgressProxy, type EgressProxyOptions } from '../proxy.ts';
import { memoryJournal } from './memory-journal.ts';

/** Where the made-up names of these tests lead, and what counts as private among them. */
const NAMES: Record<string, string[]> = {
  'public.test': ['127.0.0.1'],
  'other.test': ['127.0.0.1'],
  'rebound.test': ['10.0.0.1', '169.254.169.254'],
  'mixed.test': ['10.0.0.1', '127.0.0.1'],
};
const dial = createDial({
  resolve: async (host) => {
    const addresses = NAMES[host];
    if (!addresses) throw new Error('ENOTFOUND');
    return addresses;
  },
  isForbidden: (address) => address !== '127.0.0.1',
});

export function hostName(text: string): CanonicalHost {
  const parsed = parseHost(text);
  if (parsed?.kind !== 'name') throw new Error(`${text} is not a name`);
  return parsed.name;
}

/** A proxy of its own for each test, the machine's end of its connections, and hosts to reach. */
export function proxyRig() {
  const closers: (() => void)[] = [];
  const dir = mkdtempSync(path.join(tmpdir(), 'warren-proxy-'));
  const filesOf = (name: string) => ({
    egressKey: path.join(dir, `${name}.key`),
    egressCertificate: path.join(dir, `${name}.crt`),
  });
  const rig = {
    proxy: null as unknown as EgressProxy,
    /** What machines trust, and what the hosts of these tests are certified by. */
    authority: null as unknown as CertificateAuthority,
    publicAuthority: null as unknown as CertificateAuthority,

    open(set: Partial<EgressProxyOptions> = {}): EgressProxy {
      const trust = tls.createSecureContext({ ca: rig.publicAuthority.certificate });
      rig.proxy = new EgressProxy({ dial, own: [], log: memoryJournal(), authority: rig.authority, trust, ...set });
      const { proxy } = rig;
      closers.push(() => proxy.close());
      return proxy;
    },

    setPolicy: (policy: Partial<EgressPolicyInput>): void =>
      rig.proxy.setPolicy(egressPolicySchema.parse({ services: [], allow: [], ...policy })),
    allow: (host: string, port: number): void => rig.setPolicy({ allow: [{ host, ports: [port] }] }),
    allowService: (port: number, headers: Record<string, string> = {}, below = ''): void =>
      rig.setPolicy({ services: [{ host: 'svc.warren.internal', upstream: `http://127.0.0.1:${port}${below}`, headers }] }),

    /** Starts any server on a free port; ended with the test. */
    async start(server: net.Server): Promise<number> {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const sockets = new Set<net.Socket>();
      server.on('connection', (socket) => sockets.add(socket.on('error', () => {})));
      closers.push(() => {
        for (const socket of sockets) socket.destroy();
        server.close();
      });
      return (server.address() as AddressInfo).port;
    },
    listen: (handler: RequestListener): Promise<number> => rig.start(http.createServer(handler)),
    /** An HTTPS server that is `name` to whoever trusts `by`. */
    listenTls(handler: RequestListener, name = 'public.test', by?: CertificateAuthority): Promise<number> {
      const server = https.createServer(
        { SNICallback: (_asked, done) => done(null, (by ?? rig.publicAuthority).contextFor(hostName(name))) },
        handler,
      );
      server.on('tlsClientError', () => {});
      return rig.start(server);
    },

    /** The machine's end of one connection: a stream without an address, as an SSH channel is. */
    connection(): Duplex {
      const [guest, host] = duplexPair();
      guest.once('close', () => host.destroy());
      host.once('close', () => guest.push(null));
      rig.proxy.accept(host);
      return guest;
    },

    async send(
      options: http.RequestOptions,
      body: string | Buffer | Duplex = '',
    ): Promise<{ res: IncomingMessage; text: string }> {
      const createConnection = () => rig.connection();
      const req = http.request({ ...(options.agent ? {} : { createConnection }), ...options });
      if (body instanceof Duplex) body.pipe(req);
      else req.end(body);
      const [res] = (await once(req, 'response')) as [IncomingMessage];
      let text = '';
      for await (const chunk of res) text += chunk;
      return { res, text };
    },

    /** Raw bytes in, raw bytes out until the proxy closes. */
    async raw(text: string): Promise<string> {
      const stream = rig.connection();
      stream.write(text);
      let answer = '';
      for await (const chunk of stream) answer += chunk;
      return answer;
    },

    /** A CONNECT, past the proxy's answer. */
    async tunnel(authority: string): Promise<Duplex> {
      const stream = rig.connection();
      stream.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`);
      const [answer] = (await once(stream, 'data')) as [Buffer];
      if (!/^HTTP\/1\.1 200 /.test(String(answer))) throw new Error(String(answer));
      return stream;
    },

    /** TLS through a tunnel, as a program in the machine that trusts this host would speak it. Rejects when the handshake fails. */
    async tlsTunnel(authority: string, set: ConnectionOptions = {}): Promise<TLSSocket> {
      const socket = await rig.tunnel(authority);
      const servername = authority.replace(/:\d+$/, '');
      const client = tls.connect({ socket, servername, ca: rig.authority.certificate, ALPNProtocols: ['http/1.1'], ...set });
      await once(client, 'secureConnect');
      client.on('error', () => {});
      return client;
    },
  };

  beforeAll(async () => {
    rig.authority = await CertificateAuthority.open(filesOf('machines'));
    rig.publicAuthority = await CertificateAuthority.open(filesOf('public'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  beforeEach(() => {
    rig.open();
    rig.setPolicy({});
  });
  afterEach(() => {
    for (const close of closers.splice(0)) close();
  });
  return rig;
}
