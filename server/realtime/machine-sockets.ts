import { WebSocket } from 'ws';
import type { Services } from '../services.ts';
import type { Ack } from './contract.ts';
import { type EndReason, endReason } from './host-socket.ts';
import { type Refusal, refuse } from './open-machine-path.ts';

/** One websocket into a session's machine that a page has open. */
export type MachineSocket = { orgId: string; orgSlug: string; sessionId: string; socket: WebSocket };

export type MachineSocketsOptions<T extends MachineSocket> = {
  services: Services;
  what: 'terminal' | 'desktop';
  max: number;
  onData: (entry: T, data: Buffer, isBinary: boolean) => void;
  /** Not called for one that was closed from here. */
  onEnd: (entry: T, reason: EndReason) => void;
};

/*
 * What one browser connection has open in machines, at most one socket per key. Opening takes a while, and of two asked for in
 * that while only the newer is followed: whatever is not in `#open` has been closed, so that closing all leaves none.
 */
export class MachineSockets<T extends MachineSocket> {
  readonly #options: MachineSocketsOptions<T>;
  readonly #open = new Map<string, T>();
  /** The newest wish to open a key. One that was withdrawn or repeated meanwhile is not followed. */
  readonly #wishes = new Map<string, symbol>();

  constructor(options: MachineSocketsOptions<T>) {
    this.#options = options;
  }

  /** Slugs by id of the organizations something is open in. */
  orgSlugs(): Map<string, string> {
    return new Map([...this.#open.values()].map(({ orgId, orgSlug }) => [orgId, orgSlug]));
  }

  /** What is open and can be written to. */
  find(key: string): T | undefined {
    const entry = this.#open.get(key);
    return entry?.socket.readyState === WebSocket.OPEN ? entry : undefined;
  }

  /** Opens what `connect` gives in place of what has this key. Its socket is paused until it is followed. */
  async open(key: string, connect: () => Promise<Refusal | { ok: true; entry: T }>): Promise<Ack> {
    const { what, max } = this.#options;
    this.close(key);
    if (this.#wishes.size + this.#open.size >= max) return refuse('bad_request', `At most ${max} ${what}s can be open.`);
    const wish = Symbol(key);
    this.#wishes.set(key, wish);
    const isWanted = () => this.#wishes.get(key) === wish;
    try {
      const connected = await connect();
      if (!connected.ok) return connected;
      if (!isWanted()) {
        connected.entry.socket.terminate();
        return refuse('unavailable', 'The page no longer wants it.');
      }
      this.#follow(key, connected.entry);
      return { ok: true };
    } finally {
      if (isWanted()) this.#wishes.delete(key);
    }
  }

  /** Closes one, or withdraws the wish to open it. */
  close(key: string): void {
    this.#wishes.delete(key);
    const entry = this.#open.get(key);
    this.#open.delete(key);
    entry?.socket.close();
  }

  /** Closes all that are open and match. */
  closeWhere(matches: (entry: T) => boolean): void {
    for (const [key, entry] of this.#open) if (matches(entry)) this.close(key);
  }

  /** The page has gone: closes all, and what is being opened will not be. */
  closeAll(): void {
    this.#wishes.clear();
    this.closeWhere(() => true);
  }

  #follow(key: string, entry: T): void {
    const { services, what, onData, onEnd } = this.#options;
    const { socket, sessionId } = entry;
    const isFollowed = () => this.#open.get(key) === entry;
    this.#open.set(key, entry);
    socket.on('message', (data: Buffer, isBinary) => {
      // What was on its way when another was opened in its place would mix with that one's stream.
      if (isFollowed()) onData(entry, data, isBinary);
    });
    socket.on('error', (err) => services.logger.warn({ event: `${what}.error`, sessionId, err }, `${what} connection failed`));
    socket.on('close', (code) => {
      if (!isFollowed()) return;
      this.#open.delete(key);
      endReason(services, entry, code)
        .catch(() => 'lost' as const)
        .then((reason) => onEnd(entry, reason));
    });
    socket.resume();
  }
}
