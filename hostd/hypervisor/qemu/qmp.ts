import { z } from 'zod';
import { HostdError } from '../../errors.ts';
import { JsonLines } from './json-lines.ts';

const COMMAND_DEADLINE_MS = 30_000;

const messageSchema = z.union([
  z.object({
    QMP: z.object({
      version: z.object({ package: z.string(), qemu: z.object({ major: z.int(), minor: z.int(), micro: z.int() }) }),
    }),
  }),
  z.object({ return: z.unknown(), id: z.int() }),
  z.object({ error: z.object({ class: z.string(), desc: z.string() }), id: z.int().optional() }),
  z.object({ event: z.string(), data: z.record(z.string(), z.unknown()).optional() }),
]);

type Waiter = { resolve: (value: unknown) => void; reject: (error: Error) => void };

/** The only speaker of QEMU's machine protocol. QEMU serves one client at a time. */
export class QmpClient {
  readonly #lines: JsonLines;
  readonly #waiting = new Map<number, Waiter>();
  #nextId = 1;
  #isClosed = false;
  onEvent: (name: string, data: Record<string, unknown>) => void = () => {};
  readonly closed: Promise<void>;

  private constructor(lines: JsonLines) {
    this.#lines = lines;
    this.closed = lines.closed.then(() => {
      this.#isClosed = true;
      for (const waiter of this.#waiting.values()) waiter.reject(closedError());
      this.#waiting.clear();
    });
  }

  /** Connects and leaves negotiation mode. @throws the socket's error, or `timeout` when QEMU does not greet (another client holds it) */
  static async connect(socketPath: string, deadlineMs: number): Promise<QmpClient> {
    const lines = await JsonLines.connect(socketPath);
    const client = new QmpClient(lines);
    const greeted = new Promise<void>((resolve) => {
      lines.onValue = (value) => {
        if (!client.#receive(value)) resolve();
      };
    });
    try {
      await withDeadline(Promise.race([greeted, client.closed]), deadlineMs, 'greeting');
      await client.execute('qmp_capabilities', {}, deadlineMs);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** @returns false for a greeting */
  #receive(value: unknown): boolean {
    const parsed = messageSchema.safeParse(value);
    if (!parsed.success) return true;
    const message = parsed.data;
    if ('QMP' in message) return false;
    if ('event' in message) {
      this.onEvent(message.event, message.data ?? {});
      return true;
    }
    const waiter = message.id === undefined ? undefined : this.#waiting.get(message.id);
    if (message.id !== undefined) this.#waiting.delete(message.id);
    if ('error' in message) waiter?.reject(new HostdError('internal', { message: `QEMU: ${message.error.desc}`, phase: 'qmp' }));
    else waiter?.resolve(message.return);
    return true;
  }

  /** @throws `internal` with QEMU's words, or `timeout` */
  execute(command: string, args: Record<string, unknown> = {}, deadlineMs = COMMAND_DEADLINE_MS): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(closedError());
    const id = this.#nextId++;
    const reply = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#lines.send({ execute: command, arguments: args, id });
    return withDeadline(reply, deadlineMs, command).finally(() => this.#waiting.delete(id));
  }

  close(): void {
    this.#lines.close();
  }
}

function closedError(): HostdError {
  return new HostdError('internal', { message: 'QEMU closed its control socket', phase: 'qmp' });
}

function withDeadline<T>(promise: Promise<T>, deadlineMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new HostdError('timeout', { message: `QEMU did not answer ${what} within ${deadlineMs} ms`, phase: 'qmp' })),
      deadlineMs,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
