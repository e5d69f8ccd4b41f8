import type { RequestPermissionRequest, RequestPermissionResponse } from '@agentclientprotocol/sdk';
import { AGENT_METHODS, CLIENT_METHODS, PROTOCOL_VERSION } from '@agentclientprotocol/sdk';
import { z } from 'zod';
import { toStorable } from './storable.ts';

/*
 * JSON-RPC 2.0 as the Agent Client Protocol v1 uses it. Types come from the SDK; its connection object is not used,
 * because it keeps pending requests in memory, and ours must outlive the worker that sent them.
 */
/** Ids and names are given back or kept, so they may not be of any length. */
const NAME_CHARS_MAX = 1_000;
const name = z.string().max(NAME_CHARS_MAX);
const idSchema = z.union([name, z.number()]);
const rpcErrorSchema = z.object({ code: z.number(), message: z.string(), data: z.unknown().optional() });
export type RpcError = z.infer<typeof rpcErrorSchema>;

const envelope = z.object({
  id: idSchema.nullish(),
  method: name.optional(),
  params: z.unknown().optional(),
  result: z.unknown().optional(),
  error: rpcErrorSchema.optional(),
});

export type AgentFrame =
  | { kind: 'result'; id: string | number; result: unknown }
  | { kind: 'error'; id: string | number; error: RpcError }
  | { kind: 'request'; id: string | number; method: string; params: unknown }
  | { kind: 'notification'; method: string; params: unknown };

export type ParsedLine = { ok: true; frame: AgentFrame; raw: unknown } | { ok: false; reason: string };

/** Reads one line of the agent's stdout. Never throws: what the guest writes is not to be trusted. */
export function parseLine(text: string): ParsedLine {
  let raw: unknown;
  try {
    raw = toStorable(JSON.parse(text));
  } catch {
    return { ok: false, reason: 'not JSON' };
  }
  const parsed = envelope.safeParse(raw);
  if (!parsed.success) return { ok: false, reason: 'not a JSON-RPC message' };
  const { id, method, params, result, error } = parsed.data;
  const hasId = id !== null && id !== undefined;
  if (method !== undefined)
    return { ok: true, raw, frame: hasId ? { kind: 'request', id, method, params } : { kind: 'notification', method, params } };
  if (!hasId) return { ok: false, reason: 'neither a request nor a response' };
  return { ok: true, raw, frame: error ? { kind: 'error', id, error } : { kind: 'result', id, result } };
}

export type ClientFrame = { jsonrpc: '2.0' } & Record<string, unknown>;

const request = (id: number, method: string, params: unknown): ClientFrame => ({ jsonrpc: '2.0', id, method, params });

/** Told to agents, which may log it. */
const CLIENT_VERSION = '0.1.0';

/** No file system and no terminal of the client's are offered: the agent has a whole machine. */
export function initializeFrame(id: number): ClientFrame {
  return request(id, AGENT_METHODS.initialize, {
    protocolVersion: PROTOCOL_VERSION,
    clientCapabilities: { fs: { readTextFile: false, writeTextFile: false }, terminal: false },
    clientInfo: { name: 'warren', title: 'Warren', version: CLIENT_VERSION },
  });
}

export function newSessionFrame(id: number, cwd: string): ClientFrame {
  return request(id, AGENT_METHODS.session_new, { cwd, mcpServers: [] });
}

export function loadSessionFrame(id: number, sessionId: string, cwd: string): ClientFrame {
  return request(id, AGENT_METHODS.session_load, { sessionId, cwd, mcpServers: [] });
}

export function promptFrame(id: number, sessionId: string, text: string): ClientFrame {
  return request(id, AGENT_METHODS.session_prompt, { sessionId, prompt: [{ type: 'text', text }] });
}

export function cancelFrame(sessionId: string): ClientFrame {
  return { jsonrpc: '2.0', method: AGENT_METHODS.session_cancel, params: { sessionId } };
}

const permissionParams = z.object({ options: z.array(z.object({ optionId: name, kind: z.string() })) });

/**
 * What the agent asks of us, answered at once and without a person. The machine is the sandbox, so a permission is
 * always given, once where the agent offers that; everything else was never offered and is refused.
 */
export function answerFrame(ask: Extract<AgentFrame, { kind: 'request' }>): ClientFrame {
  if (ask.method !== CLIENT_METHODS.session_request_permission) {
    return { jsonrpc: '2.0', id: ask.id, error: { code: -32601, message: `${ask.method} is not offered by this client` } };
  }
  const options = permissionParams.safeParse(ask.params as RequestPermissionRequest).data?.options ?? [];
  const chosen = options.find(({ kind }) => kind === 'allow_once') ?? options.find(({ kind }) => kind.startsWith('allow'));
  const result: RequestPermissionResponse = {
    outcome: chosen ? { outcome: 'selected', optionId: chosen.optionId } : { outcome: 'cancelled' },
  };
  return { jsonrpc: '2.0', id: ask.id, result };
}

export const initializeResultSchema = z.object({
  protocolVersion: z.number(),
  agentCapabilities: z.looseObject({ loadSession: z.boolean().optional() }).optional(),
  agentInfo: z.looseObject({ name: z.string(), version: z.string().optional() }).nullish(),
});
export const newSessionResultSchema = z.object({ sessionId: name });
export const promptResultSchema = z.object({ stopReason: name });
