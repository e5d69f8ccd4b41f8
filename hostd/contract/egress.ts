import { z } from 'zod';

/*
 * What a machine may reach, and what became of each attempt. hostd takes these as they come and is strict in reading them: a rule
 * that does not parse allows nothing. People's input is checked, and brought into its canonical form, by
 * server/egress/contract.ts.
 */
const MEBIBYTE = 1024 * 1024;
const GIBIBYTE = 1024 * MEBIBYTE;
const bytesMax = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** A name the guest can reach through the egress proxy that is served by the control plane or by hostd itself. */
export const egressServiceSchema = z.object({
  /** Host name the guest uses, such as `git.warren.internal`. Always plain HTTP inside the machine. */
  host: z.string().max(253),
  /** Absolute URL the request is sent to; the guest's path is appended to its path. */
  upstream: z.url(),
  /** Headers set outside the machine; they replace what the guest sent. Never logged. */
  headers: z.record(z.string(), z.string()),
});
export type EgressService = z.infer<typeof egressServiceSchema>;

/**
 * `splice`: TLS goes through unread, so only host and port can be ruled; the weaker one. `inspect`: hostd ends TLS with a
 * certificate of its own, sees every request, and speaks TLS to the host itself. Plain HTTP is read under either.
 */
export const EGRESS_MODES = ['splice', 'inspect'] as const;
export type EgressMode = (typeof EGRESS_MODES)[number];

/** Methods a rule can name. `GET` includes `HEAD`. */
export const EGRESS_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

/** One line of the allow-list. */
export const egressRuleSchema = z.object({
  /** Names the rule in the log. */
  id: z.string().max(60).default(''),
  /** Exact host, or `*.example.com` for its subdomains (not the apex). */
  host: z.string().max(255),
  ports: z.array(z.number().int().min(1).max(65535)).min(1).max(20),
  mode: z.enum(EGRESS_MODES).default('splice'),
  /** Null for any. Only with `inspect`. */
  methods: z.array(z.enum(EGRESS_METHODS)).min(1).nullable().default(null),
  /** Patterns as in request-path.ts; null for any. Only with `inspect`. */
  paths: z.array(z.string().max(500)).min(1).max(50).nullable().default(null),
  /** Lets requests upgrade to WebSocket. Only with `inspect`. */
  webSocket: z.boolean().default(false),
  /** Bytes of one request's or tunnel's way up and down; null for the policy's limits. */
  requestBytesMax: bytesMax.nullable().default(null),
  responseBytesMax: bytesMax.nullable().default(null),
});
export type EgressRule = z.infer<typeof egressRuleSchema>;

/** Of one machine. */
export const egressLimitsSchema = z.object({
  /** Connections into the proxy at a time. */
  connectionsMax: z.number().int().min(1).max(2_000).default(256),
  /** Connections and requests begun in any one minute, together. */
  perMinuteMax: z.number().int().min(1).max(1_000_000).default(6_000),
  /** Bytes of one request body, or of a spliced connection's way up. */
  requestBytesMax: bytesMax.default(512 * MEBIBYTE),
  /** Bytes of one response body, or of a spliced connection's way down. */
  responseBytesMax: bytesMax.default(16 * GIBIBYTE),
  /** Without a byte either way. Models think for minutes. */
  idleMsMax: z
    .number()
    .int()
    .min(1_000)
    .max(24 * 3_600_000)
    .default(15 * 60_000),
});
export type EgressLimits = z.infer<typeof egressLimitsSchema>;
export const EGRESS_LIMITS: EgressLimits = egressLimitsSchema.parse({});

/**
 * A credential that hostd adds to requests of this machine to exactly this host. Kept in memory only: it is in no file of the
 * machine, and after a restart of hostd the machine waits until it is handed over again.
 */
export const egressSecretSchema = z.object({
  /** What the log calls it. */
  id: z.string().max(60),
  host: z.string().max(253),
  /** Lower case; replaces what the guest sent under this name. */
  header: z.string().regex(/^[a-z0-9-]{1,64}$/),
  value: z.string().max(16_000),
  /** Also where nothing encrypts the way to the host. */
  plainHttp: z.boolean(),
});
export type EgressSecret = z.infer<typeof egressSecretSchema>;

/** Everything not named here is denied. Private, loopback, link-local and metadata addresses are denied even when named. */
export const egressPolicySchema = z.object({
  services: z.array(egressServiceSchema).max(16),
  allow: z.array(egressRuleSchema).max(500),
  limits: egressLimitsSchema.default(EGRESS_LIMITS),
  secrets: z.array(egressSecretSchema).max(500).default([]),
});
/** As hostd reads it, and as its clients may write it. */
export type EgressPolicy = z.infer<typeof egressPolicySchema>;
export type EgressPolicyInput = z.input<typeof egressPolicySchema>;

export const EGRESS_DECISIONS = ['allow', 'deny'] as const;

/** Why a request went through or did not. */
export const EGRESS_REASONS = [
  // Allowed.
  'service',
  'rule',
  /** A tunnel whose requests are decided one by one. */
  'inspect',
  // Allowed, but nothing came of it.
  'upstream_error',
  'untrusted',
  // Denied.
  'not_listed',
  'bad_port',
  'bad_host',
  /** Only names are allowed. */
  'address',
  /** The name leads inside. */
  'private_address',
  'method',
  /** Sent to a service that is only read from. */
  'body',
  'path',
  /** Servers read this path in different ways. */
  'bad_path',
  'websocket',
  /** CONNECT inside CONNECT. */
  'nested',
  'host_mismatch',
  /** The tunnel is for one host, the TLS in it for another or for none. */
  'sni',
  /** The handshake failed. */
  'tls',
  'bad_request',
  'headers_too_large',
  'too_large',
  'too_many',
  'rate',
  'idle',
  /** hostd was started anew and was not given the rules in time. */
  'no_policy',
  /** The control plane collects no decisions. */
  'log_full',
] as const;
export type EgressReason = (typeof EGRESS_REASONS)[number];

/** Denials that a rule can change. */
export const FIXABLE_REASONS: readonly EgressReason[] = ['not_listed', 'bad_port', 'method', 'path', 'websocket'];

export const egressLogEntrySchema = z.object({
  seq: z.number().int(),
  at: z.iso.datetime(),
  decision: z.enum(EGRESS_DECISIONS),
  /** One of EGRESS_REASONS; any text is taken, so that a newer host's decisions are stored too. */
  reason: z.string(),
  method: z.string(),
  host: z.string(),
  port: z.number().int(),
  /** First 200 characters, query left out. */
  path: z.string().nullable(),
  status: z.number().int().nullable(),
  bytesUp: z.number(),
  bytesDown: z.number(),
  /** Id of the rule that allowed it; null where none did. */
  rule: z.string().nullable(),
  /** Ids of the secrets that were added to it. */
  secrets: z.array(z.string()),
});
export type EgressLogEntry = z.infer<typeof egressLogEntrySchema>;

/** What the control plane has to do about egress on a host. */
export const egressFeedSchema = z.object({
  /** Running machines that this hostd was given no policy for since it started: their requests wait for `SetEgress`. */
  waiting: z.array(z.string()),
  /** Decisions that were not acknowledged yet, in the order of each machine; also of machines that are gone. */
  entries: z.array(z.object({ machineId: z.string(), entry: egressLogEntrySchema })),
});
export type EgressFeed = z.infer<typeof egressFeedSchema>;
export type EgressFeedEntry = EgressFeed['entries'][number];

/** By machine, the highest number that was stored. hostd forgets those decisions. */
export const egressCollectedSchema = z.object({ upTo: z.record(z.string(), z.number().int().min(0)) });
export type EgressCollected = z.infer<typeof egressCollectedSchema>;
