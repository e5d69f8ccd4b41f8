import { WebSocket } from 'ws';
import { withOrg } from '../db.ts';
import type { Services } from '../services.ts';
import { findLiveMachine } from '../sessions/machine-files.ts';

const CONNECT_MS_MAX = 20_000;
const NORMAL_CLOSURE = 1000;

export type EndReason = 'exited' | 'asleep' | 'lost';

/**
 * A websocket into a machine through its host, paused: whoever has attached its listeners resumes it, so that nothing the
 * machine says first is lost. Rejects when it closes before it opens.
 */
export function openHostSocket({ url, headers }: { url: string; headers: Record<string, string> }): Promise<WebSocket> {
  const socket = new WebSocket(url, { headers, handshakeTimeout: CONNECT_MS_MAX, perMessageDeflate: false });
  return new Promise((resolve, reject) => {
    socket.once('open', () => {
      socket.pause();
      resolve(socket);
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed before it opened')));
  });
}

/** Why a websocket into a session's machine ended, for people. */
export async function endReason({ db }: Services, ref: { orgId: string; sessionId: string }, code: number): Promise<EndReason> {
  const machine = await withOrg(db, ref.orgId, (tx) => findLiveMachine(tx, ref.sessionId));
  if (!machine) return 'asleep';
  return code === NORMAL_CLOSURE ? 'exited' : 'lost';
}
