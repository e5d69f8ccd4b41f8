import { z } from 'zod';
import { type EgressCollected, type EgressFeed, type EgressPolicy, egressFeedSchema } from '../../hostd/contract/egress.ts';
import { hostdErrorSchema } from '../../hostd/contract/errors.ts';
import { type ImageVariant, type ImageView, imageViewSchema } from '../../hostd/contract/images.ts';
import type {
  Activity,
  CheckpointMachine,
  CheckpointResult,
  createMachineSchema,
  Exec,
  ExecResult,
  FileEntry,
  HostView,
  MachineView,
  RewindMachine,
  SnapshotView,
  SuspendMachine,
  SuspendResult,
  WriteBytes,
} from '../../hostd/contract/machines.ts';
import {
  activitySchema,
  checkpointResultSchema,
  execResultSchema,
  fileEntrySchema,
  hostViewSchema,
  machineViewSchema,
  snapshotViewSchema,
  suspendResultSchema,
} from '../../hostd/contract/machines.ts';
import {
  type Collect,
  type Collected,
  collectedSchema,
  type FetchSnapshot,
  type Replicate,
  type StoreKeyInput,
} from '../../hostd/contract/replicas.ts';
import { CONTRACT_VERSION } from '../../hostd/contract/version.ts';
import { HostError } from './host-error.ts';
import { httpRequest, readBody } from './http-request.ts';

export type PtyRequest = { name: string; user?: 'agent' | 'root'; cwd?: string; cols: number; rows: number };

export type HostSocket = { url: string; headers: Record<string, string> };

/** What the control plane can ask of one host. Every method rejects with HostError and nothing else. */
export interface HostClient {
  host(): Promise<HostView>;
  machines(): Promise<MachineView[]>;
  machine(machineId: string): Promise<MachineView>;
  create(machineId: string, input: z.input<typeof createMachineSchema>): Promise<MachineView>;
  remove(machineId: string, lease: number): Promise<void>;
  suspend(machineId: string, input: SuspendMachine): Promise<SuspendResult>;
  checkpoint(machineId: string, input: CheckpointMachine): Promise<CheckpointResult>;
  rewind(machineId: string, input: RewindMachine): Promise<MachineView>;
  setEgress(machineId: string, egress: EgressPolicy): Promise<void>;
  /** Waits up to `waitMs` for news. */
  egressFeed(ask: { waitMs: number; max: number }, signal: AbortSignal): Promise<EgressFeed>;
  egressCollected(collected: EgressCollected): Promise<void>;
  exec(machineId: string, input: Exec): Promise<ExecResult>;
  write(machineId: string, input: WriteBytes): Promise<void>;
  /** Bytes of a growing file from `offset`; ends when the machine ends or `signal` aborts, rejects when the connection breaks. */
  tail(machineId: string, path: string, offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  files(machineId: string, path: string): Promise<FileEntry[]>;
  readFile(machineId: string, path: string): Promise<Uint8Array>;
  writeFile(machineId: string, path: string, bytes: Uint8Array): Promise<void>;
  activity(machineId: string): Promise<Activity>;
  console(machineId: string): Promise<string>;
  images(): Promise<ImageView[]>;
  /** Starts a build unless the image is ready or being built; does not wait for it. */
  buildImage(variant: ImageVariant): Promise<ImageView>;
  snapshots(): Promise<SnapshotView[]>;
  snapshot(snapshotId: string): Promise<SnapshotView>;
  /** Begins a copy in the host's object store. */
  replicate(snapshotId: string, input: Replicate): Promise<SnapshotView>;
  /** Resolves when the snapshot is on this host. Takes as long as its bytes do; asked again, it goes on. */
  fetchSnapshot(snapshotId: string, input: FetchSnapshot): Promise<SnapshotView>;
  evict(snapshotId: string, key: StoreKeyInput): Promise<SnapshotView>;
  collect(input: Collect): Promise<Collected>;
  removeSnapshot(snapshotId: string): Promise<void>;
  /** Where to open the terminal's websocket, and the headers that authorise it. */
  pty(machineId: string, request: PtyRequest): HostSocket;
  /** The same for the machine's desktop. */
  desktop(machineId: string, request: { viewOnly: boolean }): HostSocket;
}

/** How long each verb may take; a verb under emulation on a busy host is slow, not broken. */
const DEADLINE_MS = { quick: 15_000, guest: 60_000, lifecycle: 10 * 60_000, transfer: 60 * 60_000, execSlack: 15_000 } as const;

type Call = { method: string; path: string; body?: unknown; bytes?: Uint8Array; deadlineMs: number; signal?: AbortSignal };

/** One wide line per call, for metrics and logs. */
export type HostCallReport = { method: string; path: string; outcome: 'ok' | string; durationMs: number };

export type HostClientOptions = { url: string; token: string; onCall?: (report: HostCallReport) => void };

const failedReply = z.object({ ok: z.literal(false), error: hostdErrorSchema });

/** Typed client of hostd's contract. Holds no state: any number may exist per host. */
export function createHostClient({ url, token, onCall }: HostClientOptions): HostClient {
  const headers = { authorization: `Bearer ${token}`, 'x-warren-contract': String(CONTRACT_VERSION) };
  const base = url.replace(/\/$/, '');

  /** The whole reply's body; a reply that is not 2xx rejects with the error it carries. */
  async function send(call: Call): Promise<Buffer> {
    const startedAt = performance.now();
    const report = (outcome: string) =>
      onCall?.({ method: call.method, path: call.path, outcome, durationMs: performance.now() - startedAt });
    try {
      const message = await httpRequest(base + call.path, {
        method: call.method,
        headers: {
          ...headers,
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(call.bytes === undefined ? {} : { 'content-type': 'application/octet-stream' }),
        },
        body: call.bytes ?? (call.body === undefined ? undefined : JSON.stringify(call.body)),
        signal: AbortSignal.any([AbortSignal.timeout(call.deadlineMs), ...(call.signal ? [call.signal] : [])]),
      });
      const bytes = await readBody(message);
      if (message.statusCode !== 200) throw toHostError(message.statusCode ?? 0, bytes);
      report('ok');
      return bytes;
    } catch (cause) {
      const error = cause instanceof HostError ? cause : unreachable(base, call, cause);
      report(error.code);
      throw error;
    }
  }

  async function ask<T>(schema: z.ZodType<T>, call: Call): Promise<T> {
    const parsed = z.object({ ok: z.literal(true), value: schema }).safeParse(parseJson(await send(call)));
    if (!parsed.success) {
      throw new HostError({
        code: 'invalid_reply',
        message: `hostd at ${base} answered ${call.method} ${call.path} outside contract ${CONTRACT_VERSION}: ${z.prettifyError(parsed.error)}`,
      });
    }
    return parsed.data.value;
  }

  const machinePath = (machineId: string, rest = '') => `/v1/machines/${encodeURIComponent(machineId)}${rest}`;
  const snapshotPath = (snapshotId: string, rest = '') => `/v1/snapshots/${encodeURIComponent(snapshotId)}${rest}`;
  const post = <T>(schema: z.ZodType<T>, path: string, body: unknown, deadlineMs: number) =>
    ask(schema, { method: 'POST', path, body, deadlineMs });
  const get = (path: string, deadlineMs: number = DEADLINE_MS.quick): Call => ({ method: 'GET', path, deadlineMs });
  const query = (values: Record<string, string | number>) =>
    `?${new URLSearchParams(Object.entries(values).map(([key, value]) => [key, String(value)]))}`;

  return {
    host: () => ask(hostViewSchema, get('/v1/host')),
    machines: () => ask(z.array(machineViewSchema), get('/v1/machines')),
    machine: (machineId) => ask(machineViewSchema, get(machinePath(machineId))),
    create: (machineId, input) =>
      ask(machineViewSchema, { method: 'PUT', path: machinePath(machineId), body: input, deadlineMs: DEADLINE_MS.lifecycle }),
    remove: async (machineId, lease) => {
      const path = machinePath(machineId, query({ lease }));
      await ask(z.unknown(), { method: 'DELETE', path, deadlineMs: DEADLINE_MS.guest });
    },
    suspend: (machineId, input) =>
      ask(suspendResultSchema, {
        method: 'POST',
        path: machinePath(machineId, '/suspend'),
        body: input,
        deadlineMs: DEADLINE_MS.lifecycle,
      }),
    checkpoint: (machineId, input) =>
      ask(checkpointResultSchema, {
        method: 'POST',
        path: machinePath(machineId, '/checkpoint'),
        body: input,
        deadlineMs: DEADLINE_MS.lifecycle,
      }),
    rewind: (machineId, input) =>
      ask(machineViewSchema, {
        method: 'POST',
        path: machinePath(machineId, '/rewind'),
        body: input,
        deadlineMs: DEADLINE_MS.lifecycle,
      }),
    setEgress: async (machineId, egress) => {
      await ask(z.unknown(), {
        method: 'PUT',
        path: machinePath(machineId, '/egress'),
        body: egress,
        deadlineMs: DEADLINE_MS.quick,
      });
    },
    egressFeed: (wanted, signal) =>
      ask(egressFeedSchema, {
        ...get(`/v1/egress-feed${query(wanted)}`, wanted.waitMs + DEADLINE_MS.quick),
        signal,
      }),
    egressCollected: async (collected) => {
      await ask(z.unknown(), {
        method: 'POST',
        path: '/v1/egress-feed/collected',
        body: collected,
        deadlineMs: DEADLINE_MS.quick,
      });
    },
    exec: (machineId, input) =>
      ask(execResultSchema, {
        method: 'POST',
        path: machinePath(machineId, '/exec'),
        body: input,
        deadlineMs: (input.timeoutMs ?? 60_000) + DEADLINE_MS.execSlack,
      }),
    write: async (machineId, input) => {
      await ask(z.unknown(), {
        method: 'POST',
        path: machinePath(machineId, '/write'),
        body: input,
        deadlineMs: DEADLINE_MS.guest,
      });
    },
    tail: (machineId, path, offset, signal) =>
      follow(base, machinePath(machineId, `/tail${query({ path, offset })}`), headers, signal),
    files: (machineId, path) =>
      ask(z.array(fileEntrySchema), get(machinePath(machineId, `/files${query({ path })}`), DEADLINE_MS.guest)),
    readFile: (machineId, path) => send(get(machinePath(machineId, `/file${query({ path })}`), DEADLINE_MS.guest)),
    writeFile: async (machineId, path, bytes) => {
      const filePath = machinePath(machineId, `/file${query({ path })}`);
      await ask(z.unknown(), { method: 'PUT', path: filePath, bytes, deadlineMs: DEADLINE_MS.guest });
    },
    activity: (machineId) => ask(activitySchema, get(machinePath(machineId, '/activity'), DEADLINE_MS.guest)),
    console: async (machineId) => (await send(get(machinePath(machineId, '/console')))).toString('utf8'),
    images: () => ask(z.array(imageViewSchema), get('/v1/images')),
    buildImage: (variant) =>
      ask(imageViewSchema, { method: 'PUT', path: `/v1/images/${variant}`, deadlineMs: DEADLINE_MS.quick }),
    snapshots: () => ask(z.array(snapshotViewSchema), get('/v1/snapshots')),
    snapshot: (snapshotId) => ask(snapshotViewSchema, get(snapshotPath(snapshotId))),
    replicate: (snapshotId, input) => post(snapshotViewSchema, snapshotPath(snapshotId, '/replicate'), input, DEADLINE_MS.quick),
    fetchSnapshot: (snapshotId, input) =>
      post(snapshotViewSchema, snapshotPath(snapshotId, '/fetch'), input, DEADLINE_MS.transfer),
    evict: (snapshotId, key) => post(snapshotViewSchema, snapshotPath(snapshotId, '/evict'), { key }, DEADLINE_MS.lifecycle),
    collect: (input) => post(collectedSchema, '/v1/store/collect', input, DEADLINE_MS.transfer),
    removeSnapshot: async (snapshotId) => {
      await ask(z.unknown(), { method: 'DELETE', path: snapshotPath(snapshotId), deadlineMs: DEADLINE_MS.guest });
    },
    pty: (machineId, request) => {
      const params = { user: 'agent', cwd: '/workspace', ...request };
      return { url: base.replace(/^http/, 'ws') + machinePath(machineId, `/pty${query(params)}`), headers };
    },
    desktop: (machineId, { viewOnly }) => {
      const path = machinePath(machineId, `/desktop${query({ viewOnly: viewOnly ? 1 : 0 })}`);
      return { url: base.replace(/^http/, 'ws') + path, headers };
    },
  };
}

/** Connecting may take the guest's SSH handshake; after that silence is normal and has no deadline. */
async function* follow(
  base: string,
  path: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const call = { method: 'GET', path, deadlineMs: DEADLINE_MS.guest };
  const connect = new AbortController();
  const timer = setTimeout(() => connect.abort(new Error('connecting took too long')), call.deadlineMs);
  try {
    const message = await httpRequest(base + path, { method: 'GET', headers, signal: AbortSignal.any([signal, connect.signal]) });
    clearTimeout(timer);
    if (message.statusCode !== 200) throw toHostError(message.statusCode ?? 0, await readBody(message));
    for await (const chunk of message) yield chunk as Buffer;
  } catch (cause) {
    if (signal.aborted) return;
    throw cause instanceof HostError ? cause : unreachable(base, call, cause);
  } finally {
    clearTimeout(timer);
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}

function toHostError(status: number, bytes: Buffer): HostError {
  const parsed = failedReply.safeParse(parseJson(bytes));
  if (parsed.success) return new HostError(parsed.data.error);
  return new HostError({ code: 'invalid_reply', message: `hostd answered ${status} without an error of the contract` });
}

function unreachable(base: string, call: Call, cause: unknown): HostError {
  const reason = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : String(cause);
  const message = `hostd at ${base} gave no answer to ${call.method} ${call.path}: ${reason}`;
  return new HostError({ code: 'unreachable', message }, { cause });
}
