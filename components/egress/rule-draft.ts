import { EGRESS_METHODS, type EgressMode } from '../../hostd/contract/egress.ts';
import { type EgressRuleInput, egressRuleInputSchema } from '../../server/egress/contract.ts';
import type { ApiOutputs } from '../api/trpc.ts';
import { errorsByField } from '../ui/field-errors.ts';

/** A rule as it stands in the form: text where people type text. */
export type RuleDraft = {
  /** Null while it is new. */
  ruleId: string | null;
  host: string;
  ports: string;
  mode: EgressMode;
  /** Empty for any. */
  methods: readonly (typeof EGRESS_METHODS)[number][];
  /** One a line; empty for any. */
  paths: string;
  webSocket: boolean;
};

export const NEW_RULE: RuleDraft = {
  ruleId: null,
  host: '',
  ports: '443',
  mode: 'splice',
  methods: [],
  paths: '',
  webSocket: false,
};

type StoredRule = ApiOutputs['egress']['rules']['rules'][number];
type Denied = Pick<ApiOutputs['egress']['log']['rows'][number], 'host' | 'port' | 'reason' | 'method' | 'path'>;

export function draftOf({ id, host, ports, mode, methods, paths, webSocket }: StoredRule): RuleDraft {
  return { ruleId: id, host, ports: ports.join(', '), mode, methods: methods ?? [], paths: (paths ?? []).join('\n'), webSocket };
}

/** The narrowest rule that would have let this request through. */
export function ruleFor({ host, port, reason, method, path }: Denied): RuleDraft {
  const base = { ...NEW_RULE, host, ports: String(port) };
  if (reason === 'not_listed' || reason === 'bad_port') return base;
  const known = EGRESS_METHODS.filter((one) => one === method);
  return { ...base, mode: 'inspect', methods: known, paths: path ?? '', webSocket: reason === 'websocket' };
}

export type ReadDraft = { rule: EgressRuleInput; errors: Partial<Record<string, string>> };

/** What the draft says, and what is wrong with it and where. */
export function readDraft(draft: RuleDraft): ReadDraft {
  const inspects = draft.mode === 'inspect';
  const paths = draft.paths
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  const rule = {
    host: draft.host,
    ports: draft.ports
      .split(/[\s,]+/)
      .filter(Boolean)
      .map((text) => (/^\d+$/.test(text) ? Number(text) : Number.NaN)),
    mode: draft.mode,
    methods: inspects && draft.methods.length > 0 ? [...draft.methods] : null,
    paths: inspects && paths.length > 0 ? paths : null,
    webSocket: inspects && draft.webSocket,
  };
  return { rule, errors: errorsByField(egressRuleInputSchema.safeParse(rule).error?.issues) };
}
