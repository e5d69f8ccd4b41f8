import { createHash } from 'node:crypto';
import path from 'node:path';
import { FILE_BYTES_MAX, GUEST } from '../../hostd/contract/machines.ts';
import type { Tx } from '../db.ts';
import { AppError, notFound } from '../errors.ts';
import type { HostClient } from '../hosts/host-client.ts';
import { isHostError } from '../hosts/host-error.ts';

/*
 * A person's view of the files in a session's live machine. Paths are relative to the workspace and cannot leave it by
 * name; what a link inside the machine points to is the machine's own business, as the person has a terminal in it anyway.
 */

export type LiveMachine = { machineId: string; hostId: string };

/** The machine a session runs on now, or null while it has none. */
export async function findLiveMachine(tx: Tx, sessionId: string): Promise<LiveMachine | null> {
  const session = await tx.session.findUnique({ where: { id: sessionId }, select: { state: true, machineId: true } });
  if (!session?.machineId || session.state !== 'running') return null;
  const machine = await tx.machine.findUnique({ where: { id: session.machineId } });
  return machine && machine.endedAt === null ? { machineId: machine.id, hostId: machine.hostId } : null;
}

/** @throws not_found; asleep when it has no live machine */
export async function requireLiveMachine(tx: Tx, sessionId: string): Promise<LiveMachine> {
  const machine = await findLiveMachine(tx, sessionId);
  if (machine) return machine;
  if (!(await tx.session.findUnique({ where: { id: sessionId } }))) throw notFound('session');
  throw new AppError('asleep', { publicMessage: 'The session’s machine is not running. Wake it first.' });
}

/** @throws bad_request when it would leave the workspace */
export function workspacePath(relative: string): string {
  const absolute = path.posix.join(GUEST.workspace, relative);
  if (absolute !== GUEST.workspace && !absolute.startsWith(`${GUEST.workspace}/`)) {
    throw new AppError('bad_request', { publicMessage: 'The path lies outside the workspace.' });
  }
  return absolute;
}

export type MachineFile = { text: string; sha256: string; truncated: boolean; binary: boolean };

const NUL = 0;

export async function readMachineFile(host: HostClient, machineId: string, relative: string): Promise<MachineFile> {
  const bytes = await host.readFile(machineId, workspacePath(relative)).catch(explain);
  const binary = bytes.subarray(0, 8000).includes(NUL);
  return {
    text: binary ? '' : Buffer.from(bytes).toString('utf8'),
    sha256: createHash('sha256').update(bytes).digest('hex'),
    truncated: bytes.byteLength >= FILE_BYTES_MAX,
    binary,
  };
}

/**
 * @param expectedSha sha256 of what the person last read; null when the file was not there
 * @throws conflict when the agent or someone else has written it meanwhile
 */
export async function writeMachineFile(
  host: HostClient,
  machineId: string,
  { path: relative, text, expectedSha }: { path: string; text: string; expectedSha?: string },
): Promise<{ sha256: string }> {
  if (Buffer.byteLength(text) > FILE_BYTES_MAX) {
    throw new AppError('too_large', { publicMessage: 'The file is larger than 2 MiB; edit it in the terminal.' });
  }
  if (expectedSha !== undefined) {
    const present = await readMachineFile(host, machineId, relative);
    if (present.sha256 !== expectedSha) {
      throw new AppError('conflict', {
        publicMessage: 'The file has changed since you opened it. Reload it and apply your edit again.',
      });
    }
  }
  await host.writeFile(machineId, workspacePath(relative), Buffer.from(text)).catch(explain);
  return { sha256: createHash('sha256').update(text).digest('hex') };
}

function explain(error: unknown): never {
  if (isHostError(error, 'not_found')) throw new AppError('not_found', { publicMessage: 'There is no such file.', cause: error });
  if (isHostError(error, 'too_large')) {
    throw new AppError('too_large', { publicMessage: 'The file is larger than 2 MiB; open it in the terminal.', cause: error });
  }
  throw error;
}
