import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fillInbox, receiveState } from './device-state.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'warren-state-'));
});
afterEach(() => rm(dir, { recursive: true }));

const inbox = () => path.join(dir, 'inbox');
const socket = () => path.join(dir, 'save.sock');
/** Sends as QEMU does: connect, write, close. */
const send = (bytes: Buffer) => () =>
  new Promise<void>((resolve, reject) => {
    const connection = createConnection(socket());
    connection.on('error', reject);
    connection.on('close', () => resolve());
    connection.end(bytes);
  });

describe('a device state', () => {
  it('is written as it came, with its hash, and leaves no socket', async () => {
    const bytes = Buffer.alloc(300_000, 'state');
    const saved = await receiveState(socket(), path.join(dir, 'state'), send(bytes));
    expect(saved.bytes).toBe(300_000);
    expect(await readFile(path.join(dir, 'state'))).toEqual(bytes);
    expect(await readdir(dir)).toEqual(['state']);
    await writeFile(inbox(), '');
    await fillInbox(inbox(), path.join(dir, 'state'), saved.sha256);
    expect(await readFile(inbox())).toEqual(bytes);
  });

  it('is refused when one bit was flipped', async () => {
    const saved = await receiveState(socket(), path.join(dir, 'state'), send(Buffer.alloc(1000)));
    const bytes = await readFile(path.join(dir, 'state'));
    bytes[500]! ^= 4;
    await writeFile(path.join(dir, 'state'), bytes);
    await writeFile(inbox(), '');
    await expect(fillInbox(inbox(), path.join(dir, 'state'), saved.sha256)).rejects.toMatchObject({ code: 'incompatible' });
  });

  it('does not exist when the disk is full', async () => {
    await symlink('/dev/full', path.join(dir, 'state'));
    const full = receiveState(socket(), path.join(dir, 'state'), () => send(Buffer.alloc(10_000_000))().catch(() => undefined));
    await expect(full).rejects.toMatchObject({ code: 'disk_full' });
    expect(await readdir(dir)).toEqual([]);
  });

  it('does not exist when the sender fails', async () => {
    const failing = receiveState(socket(), path.join(dir, 'state'), () => Promise.reject(new Error('migration failed')));
    await expect(failing).rejects.toThrow('migration failed');
    expect(await readdir(dir)).toEqual([]);
  });
});
