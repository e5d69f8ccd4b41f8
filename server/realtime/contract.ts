import { z } from 'zod';

/*
 * socket.io events between the browser and web, on path SOCKET_PATH of the same origin.
 * The handshake carries next-auth's session cookie; its Origin must be ours. Every subscription is authorised on its own.
 *
 * Updates carry no content, only what moved on: the client fetches through tRPC, where tenancy is enforced once.
 * PostgreSQL NOTIFY on NOTIFY_CHANNEL (payload `Notice`) connects the processes.
 */
export const SOCKET_PATH = '/socket';
export const NOTIFY_CHANNEL = 'warren_notice';

export const noticeSchema = z.discriminatedUnion('kind', [
  /** The session row, its timeline (up to `rev`), its messages or its wakes changed. */
  z.object({ kind: z.literal('session'), orgId: z.string(), sessionId: z.string(), rev: z.number().int().optional() }),
  /** The change, its checks or its threads changed. */
  z.object({ kind: z.literal('change'), orgId: z.string(), changeId: z.string(), sessionId: z.string().nullable() }),
  z.object({ kind: z.literal('repository'), orgId: z.string(), repositoryId: z.string() }),
]);
export type Notice = z.infer<typeof noticeSchema>;

/** A session's worker could not store something and waits. Comes from the worker itself, see trouble.ts; it is in no table. */
export const troubleSchema = z.object({
  orgId: z.string(),
  sessionId: z.string(),
  what: z.enum(['database_full', 'database_away']),
});
export type Trouble = z.infer<typeof troubleSchema>;

export const ackSchema = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true) }),
  z.object({
    ok: z.literal(false),
    code: z.enum(['unauthorized', 'not_found', 'bad_request', 'asleep', 'unavailable']),
    message: z.string(),
  }),
]);
export type Ack = z.infer<typeof ackSchema>;

export const subscribeSchema = z.object({ orgSlug: z.string().max(100) });

/** Of one `terminal.input`; pages cut longer pastes into pieces. */
export const TERMINAL_INPUT_CHARS_MAX = 64_000;

export const terminalOpenSchema = z.object({
  orgSlug: z.string().max(100),
  sessionId: z.string().max(50),
  /** tmux session that holds it: the same name reattaches after a reload or a wake. */
  name: z.string().regex(/^[a-z0-9-]{1,20}$/),
  cols: z.number().int().min(2).max(500),
  rows: z.number().int().min(2).max(300),
});

export const terminalRefSchema = terminalOpenSchema.pick({ sessionId: true, name: true });
export const terminalResizeSchema = terminalOpenSchema.omit({ orgSlug: true });
export const terminalInputSchema = terminalRefSchema.extend({ data: z.string().max(TERMINAL_INPUT_CHARS_MAX) });
export const terminalConsumedSchema = terminalRefSchema.extend({ chars: z.number().int().min(0) });

/** Of one `desktop.input`; pages cut longer pastes into pieces. */
export const DESKTOP_INPUT_BYTES_MAX = 64 * 1024;

/** A page shows one desktop of a session at a time. */
export const desktopOpenSchema = z.object({ orgSlug: z.string().max(100), sessionId: z.string().max(50) });
export const desktopRefSchema = desktopOpenSchema.pick({ sessionId: true });
export const desktopInputSchema = desktopRefSchema.extend({
  data: z.instanceof(Uint8Array).refine((data) => data.byteLength <= DESKTOP_INPUT_BYTES_MAX, 'too long'),
});
export const desktopConsumedSchema = desktopRefSchema.extend({ bytes: z.number().int().min(0) });

/** Client to server; the last argument of each is the acknowledgement. */
export type ClientEvents = {
  subscribe: (org: z.infer<typeof subscribeSchema>, ack: (reply: Ack) => void) => void;
  'terminal.open': (input: z.infer<typeof terminalOpenSchema>, ack: (reply: Ack) => void) => void;
  'terminal.input': (input: z.infer<typeof terminalInputSchema>) => void;
  'terminal.resize': (input: z.infer<typeof terminalResizeSchema>) => void;
  /** Characters written to the screen since the last report; the server pauses the stream past TERMINAL_WINDOW_CHARS. */
  'terminal.consumed': (input: z.infer<typeof terminalConsumedSchema>) => void;
  'terminal.close': (input: z.infer<typeof terminalRefSchema>) => void;
  'desktop.open': (input: z.infer<typeof desktopOpenSchema>, ack: (reply: Ack) => void) => void;
  /** The client's half of an RFB 3.8 connection. */
  'desktop.input': (input: { sessionId: string; data: Uint8Array }) => void;
  /** Bytes taken in since the last report; the server pauses the stream past DESKTOP_WINDOW_BYTES. */
  'desktop.consumed': (input: z.infer<typeof desktopConsumedSchema>) => void;
  'desktop.close': (input: z.infer<typeof desktopRefSchema>) => void;
};

export type ServerEvents = {
  notice: (notice: Notice) => void;
  trouble: (trouble: Trouble) => void;
  'terminal.output': (output: { sessionId: string; name: string; data: string }) => void;
  'terminal.ended': (end: { sessionId: string; name: string; reason: 'exited' | 'asleep' | 'lost' }) => void;
  /** A Buffer here, an ArrayBuffer in the page. */
  'desktop.output': (output: { sessionId: string; data: Uint8Array | ArrayBuffer }) => void;
  'desktop.ended': (end: { sessionId: string; reason: 'exited' | 'asleep' | 'lost' }) => void;
};

export const TERMINAL_WINDOW_CHARS = 100_000;
/** A whole screen without compression is four megabytes. */
export const DESKTOP_WINDOW_BYTES = 4 * 1024 * 1024;
