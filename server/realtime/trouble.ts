import { createHmac, timingSafeEqual } from 'node:crypto';
import { parseJson } from '../parse-json.ts';
import { type Trouble, troubleSchema } from './contract.ts';

/*
 * How a worker tells web that the database is away or full. Not by PostgreSQL's NOTIFY: it has no part in this when it is away, and
 * with a full disk it soon refuses that, too, since it keeps what it announces in a file. Web's internal port, where machines'
 * grants are signed with the same secret under another prefix.
 */
export const TROUBLE_PATH = '/trouble';
const TELL_MS_MAX = 2_000;
const PREFIX = 'wt1';

/** Told again at the next try: nobody waits for this, and one that is lost is not missed. */
export async function tellTrouble(to: { internalUrl: string; grantSecret: string }, trouble: Trouble): Promise<void> {
  const body = JSON.stringify(trouble);
  const headers = { authorization: `Bearer ${PREFIX}.${macOf(to.grantSecret, body).toString('base64url')}` };
  const signal = AbortSignal.timeout(TELL_MS_MAX);
  await fetch(to.internalUrl + TROUBLE_PATH, { method: 'POST', headers, body, signal }).then(
    (reply) => reply.body?.cancel(),
    () => undefined,
  );
}

/** Null when no worker of this installation said it. */
export function readTrouble(grantSecret: string, authorization: string | undefined, body: string): Trouble | null {
  const mac = /^Bearer wt1\.([\w-]+)$/.exec(authorization ?? '')?.[1];
  if (!mac) return null;
  const given = Buffer.from(mac, 'base64url');
  const expected = macOf(grantSecret, body);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  return troubleSchema.safeParse(parseJson(body)).data ?? null;
}

function macOf(secret: string, body: string): Buffer {
  return createHmac('sha256', secret).update(`${PREFIX}.${body}`).digest();
}
