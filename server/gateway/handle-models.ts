import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { Db } from '../db.ts';
import type { MachineCaller } from '../internal/authorize.ts';
import { outwaitDatabase } from '../internal/outwait-database.ts';
import { readBody } from '../internal/read-body.ts';
import { sendJson } from '../internal/respond.ts';
import type { Logger } from '../logger.ts';
import { parseJson } from '../parse-json.ts';
import { parseOrgPolicy } from '../policy/policy.ts';
import { answerAsDemo } from './demo/answer.ts';
import { errorBody, type ModelError } from './model-error.ts';
import type { ModelProvider } from './provider.ts';
import { recordCallEnd, recordCallStart } from './record-call.ts';
import { type RelayDeps, type RelayResult, relayResponse } from './relay.ts';

export type GatewayDeps = {
  db: Db;
  logger: Logger;
  models: ModelProvider;
  /** For tests: how the provider is called, and how long it may stay silent. */
  relay?: Partial<RelayDeps>;
};

const REQUEST_BYTES_MAX = 32 * 1024 * 1024;
const IDLE_MS_MAX = 4 * 60_000;

const requestSchema = z.looseObject({ model: z.string().min(1).max(200), stream: z.boolean().nullish() });

/** Answers `/models/v1/…` for a machine's agent: the Responses API, and the list of models it may use. */
export async function handleModels(
  deps: GatewayDeps,
  caller: MachineCaller,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const { pathname } = new URL(req.url ?? '/', 'http://internal');
  if (req.method === 'GET' && pathname === '/models/v1/models') {
    const ids = isAllowed(deps.models.model, caller) ? [deps.models.model] : [];
    return sendJson(res, 200, {
      object: 'list',
      data: ids.map((id) => ({ id, object: 'model', created: 0, owned_by: 'warren' })),
    });
  }
  const body = await readBody(req, REQUEST_BYTES_MAX);
  if (req.method !== 'POST' || pathname !== '/models/v1/responses') {
    return sendError(res, invalid(404, 'not_found', 'Warren’s model gateway serves POST /v1/responses and GET /v1/models only.'));
  }
  const request = requestSchema.safeParse(body === null ? null : parseJson(body.toString('utf8')));
  const model = request.success ? request.data.model : 'unknown';
  const entryId = await outwaitDatabase(
    () => recordCallStart(deps.db, caller.grant, { provider: deps.models.kind, model }),
    () => !res.destroyed,
  );
  // The agent hung up while it waited: nobody is called for it.
  if (res.destroyed) return;
  const startedAt = performance.now();
  const refusal = refuseCall(deps, caller, body, request.success ? request.data.model : null);
  const result = refusal ? refused(res, refusal) : await answer(deps, body!, request.data!, res);
  const durationMs = performance.now() - startedAt;
  const { status, usage, error } = result;
  deps.logger.info(
    { event: 'model.call', machineId: caller.grant.machineId, model, status, code: error?.code, durationMs, ...usage },
    'model call',
  );
  // The agent has its answer: for as long as it takes, since it was paid for.
  await outwaitDatabase(
    () => recordCallEnd(deps.db, caller.grant, entryId, { usage, status, durationMs, error }),
    () => true,
    { waitMsMax: Number.POSITIVE_INFINITY },
  );
}

type ModelRequest = z.infer<typeof requestSchema>;

function answer(deps: GatewayDeps, body: Buffer, request: ModelRequest, res: ServerResponse): Promise<RelayResult> {
  if (deps.models.kind === 'demo') return answerAsDemo(request, res);
  const relay = { fetch: deps.relay?.fetch ?? fetch, idleMsMax: deps.relay?.idleMsMax ?? IDLE_MS_MAX };
  return relayResponse(relay, deps.models, body, { stream: request.stream === true }, res);
}

function refuseCall(deps: GatewayDeps, caller: MachineCaller, body: Buffer | null, model: string | null): ModelError | null {
  if (body === null) return invalid(413, 'too_large', `The request is larger than ${REQUEST_BYTES_MAX / 1024 / 1024} MiB.`);
  if (caller.grant.purpose !== 'session') {
    return {
      status: 403,
      type: 'permission_error',
      code: 'no_session',
      message: 'Only the machine of a session may call a model.',
    };
  }
  if (model === null) return invalid(400, 'invalid_request', 'The request is not JSON with a model name.');
  // The name is in the machine since its template was built; the operator may have chosen another model since.
  if (model !== deps.models.model) {
    return {
      status: 403,
      type: 'permission_error',
      code: 'model_not_served',
      message: `This machine asks for the model ${model}, and this installation serves ${deps.models.model} by now.`,
    };
  }
  if (isAllowed(model, caller)) return null;
  return {
    status: 403,
    type: 'permission_error',
    code: 'model_not_allowed',
    message: `The organization’s policy does not allow the model ${model}.`,
  };
}

/** A policy that cannot be read allows nothing. */
function isAllowed(model: string, caller: MachineCaller): boolean {
  try {
    const { allowedModels } = parseOrgPolicy(caller.policy);
    return allowedModels === null || allowedModels.includes(model);
  } catch {
    return false;
  }
}

function refused(res: ServerResponse, error: ModelError): RelayResult {
  sendError(res, error);
  return { status: error.status, usage: { inputTokens: 0, outputTokens: 0 }, error };
}

function sendError(res: ServerResponse, error: ModelError): void {
  sendJson(res, error.status, errorBody(error));
}

function invalid(status: number, code: string, message: string): ModelError {
  return { status, type: 'invalid_request_error', code, message };
}
