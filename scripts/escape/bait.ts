import { randomBytes } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http, { type IncomingHttpHeaders, type Server } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';

/** What a machine's requests to its services carry, added by hostd. */
export const GRANT = `Bearer grant-${randomBytes(8).toString('hex')}`;
const PIECE_BYTES_MAX = 4096;

export type Served = { method: string; url: string; headers: IncomingHttpHeaders };

/**
 * What must not be reached, and who notices: a listener on every address of this host that knows who called, a file beside the
 * data directory, and the upstream of the services that a machine may reach, which writes down how it was asked.
 */
export class Bait {
  /** Answered by the listener, held by the host file and by the other machine; nobody may ever read it in a guest. */
  readonly secret = `secret-${randomBytes(12).toString('hex')}`;
  /** Each piece of text or datagram that reached the listener. */
  readonly hits: string[] = [];
  readonly served: Served[] = [];
  /** Open connections at the services' upstream now, and the most there ever were. */
  connections = 0;
  connectionsMost = 0;
  readonly #tcp: net.Server;
  readonly #udp: UdpSocket;
  readonly #upstream: Server;
  #dir = '';

  private constructor() {
    this.#tcp = net.createServer((socket) => this.#onCaller(socket));
    this.#udp = createSocket('udp6');
    this.#udp.on('message', (data) => this.hits.push(data.toString('latin1')));
    this.#upstream = http.createServer((req, res) => {
      const url = req.url ?? '';
      this.served.push({ method: req.method ?? '', url, headers: req.headers });
      req.resume();
      if (url.includes('/never')) return;
      if (url.includes('/redirect')) {
        const location = `http://localhost:${this.port}${url}`;
        return void res.writeHead(302, { location }).end();
      }
      res.writeHead(200, { 'content-type': 'text/plain' }).end(`served ${req.method} ${url}\n`);
    });
    // What came behind a request and is none of its body: another server would take it for the next request.
    this.#upstream.on('clientError', ({ rawPacket }: Error & { rawPacket?: Buffer }, socket) => {
      if (rawPacket) this.served.push({ method: 'BARE', url: rawPacket.toString('latin1'), headers: {} });
      socket.destroy();
    });
    this.#upstream.on('connection', (socket) => {
      this.connections += 1;
      this.connectionsMost = Math.max(this.connectionsMost, this.connections);
      socket.once('close', () => {
        this.connections -= 1;
      });
    });
  }

  static async put(): Promise<Bait> {
    const bait = new Bait();
    bait.#tcp.listen(0, '::');
    bait.#upstream.listen(0, '127.0.0.1');
    await Promise.all([once(bait.#tcp, 'listening'), once(bait.#upstream, 'listening')]);
    bait.#udp.bind(bait.port, '::');
    await once(bait.#udp, 'listening');
    bait.#dir = await mkdtemp(path.join(os.tmpdir(), 'warren-bait-'));
    await writeFile(bait.file, bait.secret);
    return bait;
  }

  #onCaller(socket: net.Socket): void {
    let said = '';
    const answer = () => {
      socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${this.secret.length}\r\n\r\n${this.secret}`);
    };
    const timer = setTimeout(answer, 200);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      if (said.length < PIECE_BYTES_MAX) said += chunk.toString('latin1');
      answer();
    });
    socket.once('close', () => {
      clearTimeout(timer);
      // Also one that said nothing has got here.
      this.hits.push(said === '' ? '(a connection without a word)' : said);
    });
  }

  get port(): number {
    return (this.#tcp.address() as AddressInfo).port;
  }

  get upstreamUrl(): string {
    return `http://127.0.0.1:${(this.#upstream.address() as AddressInfo).port}`;
  }

  /** A file of the host that holds the secret. */
  get file(): string {
    return path.join(this.#dir, 'host-file');
  }

  async isFileUntouched(): Promise<boolean> {
    return (await readFile(this.file, 'utf8').catch(() => '')) === this.secret;
  }

  async remove(): Promise<void> {
    this.#tcp.close();
    this.#udp.close();
    this.#upstream.closeAllConnections();
    this.#upstream.close();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** An address of this host that is not loopback: what a machine would see on a network, if it had one. */
export function hostAddress(): string {
  const found = Object.values(os.networkInterfaces())
    .flat()
    .find((address) => address && !address.internal && address.family === 'IPv4');
  return found?.address ?? '127.0.0.1';
}
