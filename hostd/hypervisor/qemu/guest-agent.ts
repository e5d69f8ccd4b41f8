import { randomInt } from 'node:crypto';
import { z } from 'zod';
import { HostdError } from '../../errors.ts';
import type { VmAgent } from '../driver.ts';
import { JsonLines } from './json-lines.ts';

const CALL_DEADLINE_MS = 15_000;
const EXEC_DEADLINE_MS = 30_000;
const PING_AGAIN_MS = 2_000;
/** Asked again after this share of the time it has taken so far: a short one is not overslept, a long one not disturbed. */
const EXEC_POLL_SHARE = 0.2;
const EXEC_POLL_MS = { min: 5, max: 160 } as const;
const CLOCK_TOLERANCE_MS = 1_000;
const CLOCK_SET_BEYOND_MS = 50;
const READ_BYTES_MAX = 64 * 1024;
/** What may come before the reply to a call: late replies to earlier ones, never as many lines as this. */
const NOISE_LINES_MAX = 1_000;

const replySchema = z.union([
  z.object({ error: z.object({ desc: z.string() }), id: z.int() }),
  z.object({ return: z.unknown(), id: z.int() }),
]);
type Reply = z.infer<typeof replySchema>;
const pidSchema = z.object({ pid: z.int() });
const fileReadSchema = z.object({ 'buf-b64': z.string() });
const execStatusSchema = z.object({
  exited: z.boolean(),
  exitcode: z.int().optional(),
  'out-data': z.string().optional(),
  'err-data': z.string().optional(),
});

/** Makes the agent's parser forget a half-sent request. */
const RESET = Buffer.from([0xff]);

/**
 * Client of qemu-guest-agent. The connection stays open for as long as hostd lives, because the agent spins on a disconnected
 * port. Calls go one after another; every reply may come from a hostile guest. Between calls nothing is read, so that what a
 * guest says unasked costs nobody but itself.
 */
export class QemuGuestAgent implements VmAgent {
  readonly #lines: JsonLines;
  #queue: Promise<unknown> = Promise.resolve();
  /** Starts at random, so that the reply to an earlier hostd's call is nobody's. */
  #nextId = randomInt(1, 2 ** 40);

  #isClosed = false;
  #onClosed: () => void = () => {};

  private constructor(lines: JsonLines) {
    this.#lines = lines;
    lines.pause();
    void lines.closed.then(() => {
      this.#isClosed = true;
      this.#onClosed();
    });
  }

  static async connect(socketPath: string): Promise<QemuGuestAgent> {
    return new QemuGuestAgent(await JsonLines.connect(socketPath));
  }

  close(): void {
    this.#lines.close();
  }

  ping(deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    return this.#exclusive(async () => {
      // A request sent while the agent was not there yet may be lost, so it is asked again.
      for (;;) {
        const leftMs = deadline - performance.now();
        try {
          await this.#roundTrip('guest-ping', {}, Math.min(leftMs, PING_AGAIN_MS));
          return;
        } catch (error) {
          if (this.#isClosed || leftMs <= PING_AGAIN_MS) throw error;
        }
      }
    });
  }

  async setClock(epochMs: number): Promise<void> {
    const startedAt = performance.now();
    const offMs = async () => {
      const read = expect(z.number(), await this.#call('guest-get-time'));
      return Math.abs(read / 1_000_000 - (epochMs + performance.now() - startedAt));
    };
    // Setting it starts a program in the guest; most wakes come soon after the sleep and need none.
    if ((await offMs()) < CLOCK_SET_BEYOND_MS) return;
    const now = epochMs + performance.now() - startedAt;
    await this.#call('guest-set-time', { time: Math.round(now * 1_000) * 1_000 }, EXEC_DEADLINE_MS);
    const left = await offMs();
    if (left > CLOCK_TOLERANCE_MS) throw unreachable(`its clock is off by ${Math.round(left)} ms and could not be set`);
  }

  async exec(
    argv: string[],
    { timeoutMs = EXEC_DEADLINE_MS, stdin }: { timeoutMs?: number; stdin?: string } = {},
  ): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const startedAt = performance.now();
    const deadline = startedAt + timeoutMs;
    const [path, ...arg] = argv;
    const input = stdin === undefined ? {} : { 'input-data': Buffer.from(stdin).toString('base64') };
    const { pid } = expect(pidSchema, await this.#call('guest-exec', { path, arg, 'capture-output': true, ...input }, timeoutMs));
    for (;;) {
      const status = expect(
        execStatusSchema,
        await this.#call('guest-exec-status', { pid }, Math.max(1, deadline - performance.now())),
      );
      if (status.exited) {
        return { exitCode: status.exitcode ?? -1, stdout: decode(status['out-data']), stderr: decode(status['err-data']) };
      }
      if (performance.now() > deadline) throw unreachable(`${path} did not end within ${timeoutMs} ms`);
      const waitMs = (performance.now() - startedAt) * EXEC_POLL_SHARE;
      await new Promise((resolve) => setTimeout(resolve, Math.min(Math.max(waitMs, EXEC_POLL_MS.min), EXEC_POLL_MS.max)));
    }
  }

  readFile(path: string, timeoutMs = CALL_DEADLINE_MS): Promise<string> {
    return this.#withFile(path, 'r', timeoutMs, async (handle) => {
      const reply = await this.#call('guest-file-read', { handle, count: READ_BYTES_MAX }, timeoutMs);
      return decode(expect(fileReadSchema, reply)['buf-b64']);
    });
  }

  async writeFile(path: string, text: string): Promise<void> {
    await this.#withFile(path, 'w', CALL_DEADLINE_MS, async (handle) => {
      await this.#call('guest-file-write', { handle, 'buf-b64': Buffer.from(text).toString('base64') });
    });
  }

  /** A file that was written is on its way only when it is closed, so a refusal of that counts. */
  async #withFile<T>(path: string, mode: 'r' | 'w', timeoutMs: number, use: (handle: number) => Promise<T>): Promise<T> {
    const handle = expect(z.int(), await this.#call('guest-file-open', { path, mode }, timeoutMs));
    const close = () => this.#call('guest-file-close', { handle });
    const used = await use(handle).catch(async (error) => {
      await close().catch(() => undefined);
      throw error;
    });
    await (mode === 'w' ? close() : close().catch(ignoreRefusal));
    return used;
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  #call(command: string, args: Record<string, unknown> = {}, deadlineMs = CALL_DEADLINE_MS): Promise<unknown> {
    return this.#exclusive(async () => {
      const reply = await this.#roundTrip(command, args, deadlineMs);
      if ('error' in reply) {
        throw new HostdError('internal', {
          message: `guest agent refused ${command}: ${reply.error.desc}`,
          phase: 'guest.agent',
        });
      }
      return reply.return;
    });
  }

  /** Sends and waits for the reply with this call's number; replies to others (asked by an earlier hostd, or too late) are dropped. */
  #roundTrip(command: string, args: Record<string, unknown>, deadlineMs: number): Promise<Reply> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(unreachable('the guest agent port is closed'));
      let noise = 0;
      const settle = () => {
        clearTimeout(timer);
        this.#lines.pause();
        this.#lines.onValue = () => {};
        this.#onClosed = () => {};
      };
      const fail = (why: string) => {
        settle();
        reject(unreachable(why));
      };
      const timer = setTimeout(
        () => fail(`the guest agent did not answer ${command} within ${Math.round(deadlineMs)} ms`),
        deadlineMs,
      );
      this.#onClosed = () => fail('the guest agent port closed');
      this.#lines.onValue = (value) => {
        const reply = replySchema.safeParse(value).data;
        if (reply?.id !== id) {
          noise += 1;
          if (noise > NOISE_LINES_MAX) fail(`the guest agent says everything but the answer to ${command}`);
          return;
        }
        settle();
        resolve(reply);
      };
      this.#lines.resume();
      this.#lines.send({ execute: command, arguments: args, id }, RESET);
    });
  }
}

/** @throws `guest_unreachable` for a reply of another shape: such an agent is none */
function expect<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw unreachable('its guest agent answers nonsense');
}

function decode(base64: string | undefined): string {
  return base64 === undefined ? '' : Buffer.from(base64, 'base64').toString('utf8');
}

function unreachable(why: string): HostdError {
  return new HostdError('guest_unreachable', { message: `the machine cannot be reached: ${why}`, phase: 'guest.agent' });
}

/** The agent answered, it only did not like the question. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof HostdError) || error.code !== 'internal') throw error;
}
