import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Collected, Replicate, ReplicationView, StoreKeyInput } from '../../contract/replicas.ts';
import { HostdError, messageOf } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { NotAuthentic, type StoreKey } from '../chunks/keys.ts';
import { ObjectMissing, StoreFailure } from '../chunks/object-store.ts';
import type { RetentionRules } from '../chunks/retention.ts';
import { linkFile } from '../files.ts';
import type { Layout } from '../layout.ts';
import { readManifest, requireSnapshot, type StoredManifest } from '../snapshots.ts';
import { discard } from '../trash.ts';
import type { Engine } from './engine.ts';
import { fetchSnapshot } from './fetch-snapshot.ts';
import { imageRefOf, imageSource, snapshotPaths, snapshotSource } from './lineage.ts';
import { noStore } from './open-store.ts';
import { readReplica, writeReplica } from './replica-file.ts';

const HALF_FETCHED_MS_MAX = 7 * 24 * 3_600_000;

export type ReplicasOptions = { layout: Layout; engine: Engine | null; log: Logger; hostBootId: string };

/** A parent's layer, and links to its files that stay when it is deleted before its child is copied. */
type Pinned = { keyId: string; layerId: string; paths: Record<string, string> };
type Running = ReplicationView & { done: Promise<void> };

/**
 * The copies of this host's snapshots in its object store. What is under way is known to this process alone: when it dies, the
 * snapshot is `local` again and whoever wants a copy asks again, which finds what was stored.
 */
export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #running = new Map<string, Running>();
  readonly #fetching = new Map<string, Promise<void>>();
  /** One after the other: they share the disk, the network and what is known of the store. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: ReplicasOptions) {
    this.#options = options;
  }

  get isConfigured(): boolean {
    return this.#options.engine !== null;
  }

  /** Removes what a former hostd left half done and nobody went on with. What was half fetched stays for a week. */
  async tidy(now: number): Promise<void> {
    const { layout } = this.#options;
    for (const name of await readdir(layout.pins)) await rm(path.join(layout.pins, name), { recursive: true, force: true });
    for (const name of await readdir(layout.fetches)) {
      const age = now - (await stat(path.join(layout.fetches, name))).mtimeMs;
      if (age > HALF_FETCHED_MS_MAX || (await readManifest(layout, layout.snapshot(name))))
        await discard(layout, layout.fetching(name));
    }
  }

  /** How far a copy is, or why it failed. Null when none is being made; finished ones stand in the snapshot's replica. */
  progressOf(snapshotId: string): ReplicationView | null {
    const running = this.#running.get(snapshotId);
    if (!running) return null;
    const { done: _, ...view } = running;
    return view;
  }

  /** Begins to make a copy, and of what the snapshot stands on where there is none. Asking again while it runs changes nothing. */
  async replicate(snapshotId: string, { key, group, checkpoint = false }: Replicate): Promise<void> {
    const engine = this.#engine();
    const manifest = await requireSnapshot(this.#options.layout, snapshotId);
    if (await readReplica(this.#options.layout.snapshot(snapshotId))) return;
    const before = this.#running.get(snapshotId);
    if (before && before.state !== 'failed') return;
    const running: Running = {
      state: 'waiting',
      pagesRead: 0,
      pagesToRead: 0,
      bytesStored: 0,
      error: null,
      done: Promise.resolve(),
    };
    this.#running.set(snapshotId, running);
    // Without links to its parent's files it is stored over what is there when its turn comes: larger, and no less a copy.
    const pinned = await this.#pinParent(manifest).catch(() => null);
    running.done = this.#inTurn(async () => {
      // Its snapshot was deleted before its turn came.
      if (this.#running.get(snapshotId) !== running) return;
      running.state = 'running';
      await this.#copy(engine, toKey(key), snapshotId, { group, checkpoint, pinned }, running);
      this.#running.delete(snapshotId);
    })
      .finally(() => rm(this.#options.layout.pinned(snapshotId), { recursive: true, force: true }))
      .catch((error: unknown) => {
        const { message } = toHostdError(error, `the copy of ${snapshotId}`);
        Object.assign(running, { state: 'failed', error: `${message}; ask again to go on where it was` });
        this.#options.log.warn({ event: 'snapshot.not_replicated', snapshotId, reason: message }, 'a snapshot was not copied');
      });
  }

  /** Brings a snapshot here. Asking again joins what is under way or goes on where it was cut off. */
  async fetch(snapshotId: string, keys: readonly StoreKeyInput[]): Promise<void> {
    const engine = this.#engine();
    const { layout, hostBootId, log } = this.#options;
    const under = this.#fetching.get(snapshotId);
    if (under) return under;
    const files = layout.snapshot(snapshotId);
    if ((await readManifest(layout, files)) && !(await readReplica(files))?.evicted) return;
    const fetching = explained(`the copy of ${snapshotId}`, () =>
      fetchSnapshot({ layout, engine, hostBootId, log }, snapshotId, keys.map(toKey)),
    ).finally(() => this.#fetching.delete(snapshotId));
    this.#fetching.set(snapshotId, fetching);
    return fetching;
  }

  /** Drops this host's files of a snapshot. The caller holds the snapshot's lock. @throws `conflict` when there is no whole copy */
  async evict(snapshotId: string, key: StoreKeyInput): Promise<void> {
    const engine = this.#engine();
    const { layout, log } = this.#options;
    const manifest = await requireSnapshot(layout, snapshotId);
    const files = layout.snapshot(snapshotId);
    const replica = await readReplica(files);
    if (!replica) throw conflict(`snapshot ${snapshotId} has no copy in the object store: replicate it first`);
    if (replica.keyId !== key.id) throw conflict(`snapshot ${snapshotId} is stored under key ${replica.keyId}, not ${key.id}`);
    const whole = await explained(`the copy of ${snapshotId}`, () => engine.isWhole(toKey(key), snapshotId));
    if (!whole) {
      // It must not be taken for replicated, here or in the store: the next request stores what is missing.
      await explained(`the copy of ${snapshotId}`, () => engine.removeRef(key.id, snapshotId));
      await rm(files.replica, { force: true });
      throw conflict(`the copy of snapshot ${snapshotId} is not whole: its files stay here; replicate it again`);
    }
    await writeReplica(files, { ...replica, evicted: true });
    for (const file of Object.values(snapshotPaths(layout, manifest))) await rm(file, { force: true });
    log.info({ event: 'snapshot.evicted', snapshotId }, 'a snapshot is in the object store alone');
  }

  /** Forgets the copy of a snapshot that is being deleted. What only it needed goes with a later collection. */
  async removeRef(snapshotId: string): Promise<void> {
    const { layout, engine } = this.#options;
    const running = this.#running.get(snapshotId);
    // One that is being made ends first, so that its ref is not written after this.
    if (running?.state === 'waiting') this.#running.delete(snapshotId);
    else await running?.done;
    const replica = await readReplica(layout.snapshot(snapshotId));
    if (replica && engine) await explained(`the copy of ${snapshotId}`, () => engine.removeRef(replica.keyId, snapshotId));
    this.#running.delete(snapshotId);
  }

  collect(key: StoreKeyInput, retention: RetentionRules | undefined): Promise<Collected> {
    const engine = this.#engine();
    return explained('the object store', () => engine.collect(toKey(key), retention));
  }

  async #copy(
    engine: Engine,
    key: StoreKey,
    snapshotId: string,
    { pinned, ...common }: { group: string; checkpoint: boolean; pinned: Pinned | null },
    progress: ReplicationView,
  ): Promise<string> {
    const { layout, log } = this.#options;
    const files = layout.snapshot(snapshotId);
    const manifest = await requireSnapshot(layout, snapshotId);
    const known = await readReplica(files);
    if (known?.keyId === key.id) return known.layerId;
    const imageRef = await imageRefOf(layout, manifest.imageId);
    const usable = pinned?.keyId === key.id ? pinned : null;
    const parent = usable ?? (await this.#parentOf(engine, key, manifest, imageRef, progress));
    const startedAt = performance.now();
    const source = snapshotSource(layout, manifest, parent, imageRef, common);
    const stored = await engine.store(key, source, (now) => Object.assign(progress, now));
    const found = await engine.find([key], snapshotId);
    await writeReplica(files, {
      keyId: key.id,
      layerId: stored.layerId,
      storedBytes: found?.storedBytes ?? stored.bytesStored,
      replicatedAt: new Date().toISOString(),
      evicted: false,
    });
    const durationMs = Math.round(performance.now() - startedAt);
    const { bytesStored, pagesRead, pagesStored } = stored;
    log.info(
      { event: 'snapshot.replicated', snapshotId, bytesStored, pagesRead, pagesStored, durationMs },
      'a snapshot was copied',
    );
    return stored.layerId;
  }

  /** A session's former snapshot is deleted right after the next one is made, before that is copied. */
  async #pinParent({ snapshotId, parentSnapshotId }: StoredManifest): Promise<Pinned | null> {
    const { layout } = this.#options;
    if (parentSnapshotId === null) return null;
    const parent = await readManifest(layout, layout.snapshot(parentSnapshotId));
    const replica = await readReplica(layout.snapshot(parentSnapshotId));
    if (!parent || !replica || replica.evicted) return null;
    const dir = layout.pinned(snapshotId);
    await rm(dir, { recursive: true, force: true });
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const paths: Record<string, string> = {};
    for (const [name, file] of Object.entries(snapshotPaths(layout, parent))) {
      paths[name] = path.join(dir, name);
      await linkFile(file, paths[name]);
    }
    return { keyId: replica.keyId, layerId: replica.layerId, paths };
  }

  /** The layer to stand on: the parent's, stored now if it must be, or the image's. Null when neither is to be had. */
  async #parentOf(engine: Engine, key: StoreKey, manifest: StoredManifest, imageRef: string | null, progress: ReplicationView) {
    const { layout } = this.#options;
    const { parentSnapshotId } = manifest;
    if (parentSnapshotId !== null) {
      const parent = await readManifest(layout, layout.snapshot(parentSnapshotId));
      const replica = await readReplica(layout.snapshot(parentSnapshotId));
      if (parent && !replica?.evicted) {
        const layerId = await this.#copy(
          engine,
          key,
          parentSnapshotId,
          { group: parentSnapshotId, checkpoint: false, pinned: null },
          progress,
        );
        return { layerId, paths: snapshotPaths(layout, parent) };
      }
      const found = await engine.find([key], parentSnapshotId);
      if (found) return { layerId: found.layerId, paths: {} };
    }
    if (imageRef === null) return null;
    const source = await imageSource(layout, manifest.imageId, imageRef);
    const { layerId } = await engine.store(key, source, (now) => Object.assign(progress, now));
    return { layerId, paths: Object.fromEntries(source.files.map(({ name, path }) => [name, path])) };
  }

  #engine(): Engine {
    const { engine } = this.#options;
    if (!engine) throw noStore();
    return engine;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(work);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }
}

function toKey({ id, secret }: StoreKeyInput): StoreKey {
  return { id, secret: Buffer.from(secret, 'base64') };
}

async function explained<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toHostdError(error, what);
  }
}

/** What the store's errors mean to who asked. */
export function toHostdError(cause: unknown, what: string): HostdError {
  if (cause instanceof HostdError) return cause;
  const phase = 'store';
  if (cause instanceof NotAuthentic)
    return new HostdError('incompatible', { message: `${what} is not used: ${cause.message}`, phase, cause });
  if (cause instanceof ObjectMissing)
    return new HostdError('not_found', { message: `${what} is not in the object store`, phase, cause });
  if (cause instanceof StoreFailure) {
    const next = cause.retryable ? 'ask again once the store answers' : 'correct its address, bucket or credentials';
    return new HostdError('store_failed', {
      message: `the object store could not be used: ${cause.message}; ${next}`,
      phase,
      cause,
    });
  }
  return new HostdError('internal', { message: `${what}: ${messageOf(cause)}`, phase, cause });
}

function conflict(message: string): HostdError {
  return new HostdError('conflict', { message, phase: 'snapshot.evict' });
}
