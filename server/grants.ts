import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { parseJson } from './parse-json.ts';

/*
 * What a machine may do towards us, signed. The egress proxy adds it outside the machine, so the guest never holds it.
 * Algorithm and version are fixed by the prefix: nothing in a token chooses how it is checked. A grant alone is not
 * enough: server/internal/authorize.ts also wants the machine's row live with the same lease.
 */
export const GRANT_PURPOSES = ['session', 'check', 'template'] as const;
export type GrantPurpose = (typeof GRANT_PURPOSES)[number];

const grantSchema = z.strictObject({
  orgId: z.string().min(1),
  repositoryId: z.string().min(1),
  machineId: z.string().min(1),
  lease: z.number().int().min(1),
  purpose: z.enum(GRANT_PURPOSES),
  sessionId: z.string().min(1).optional(),
  /** The one branch a session may push, without `refs/heads/`. */
  branch: z.string().min(1).optional(),
  /** Seconds since 1970. */
  exp: z.number().int(),
});
export type MachineGrant = z.infer<typeof grantSchema>;

export type GrantFailure = 'malformed' | 'bad_signature' | 'expired';
export type GrantVerdict = { ok: true; grant: MachineGrant } | { ok: false; reason: GrantFailure };

const PREFIX = 'wg1';
const TOKEN_CHARS_MAX = 2048;

/** A token for `authorization: Bearer …`. */
export function signGrant(secret: string, grant: MachineGrant): string {
  const payload = Buffer.from(JSON.stringify(grantSchema.parse(grant))).toString('base64url');
  return `${PREFIX}.${payload}.${macOf(secret, payload).toString('base64url')}`;
}

/** Reads a token after its signature holds; the payload of any other is never parsed. */
export function verifyGrant(secret: string, token: string, now: Date): GrantVerdict {
  if (token.length > TOKEN_CHARS_MAX) return { ok: false, reason: 'malformed' };
  const [prefix, payload, mac, ...rest] = token.split('.');
  if (prefix !== PREFIX || !payload || !mac || rest.length > 0) return { ok: false, reason: 'malformed' };
  const given = Buffer.from(mac, 'base64url');
  const expected = macOf(secret, payload);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return { ok: false, reason: 'bad_signature' };
  const parsed = grantSchema.safeParse(parseJson(Buffer.from(payload, 'base64url').toString('utf8')));
  if (!parsed.success) return { ok: false, reason: 'malformed' };
  if (parsed.data.exp * 1000 <= now.getTime()) return { ok: false, reason: 'expired' };
  return { ok: true, grant: parsed.data };
}

function macOf(secret: string, payload: string): Buffer {
  return createHmac('sha256', secret).update(`${PREFIX}.${payload}`).digest();
}
