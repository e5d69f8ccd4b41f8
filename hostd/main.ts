import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createApi } from './api/server.ts';
import { closeInherited } from './close-inherited.ts';
import { CertificateAuthority } from './egress/authority.ts';
import { createDial } from './egress/dial.ts';
import { EgressJournal } from './egress/journal.ts';
import { systemTrust } from './egress/secure.ts';
import { ownServices } from './egress/services.ts';
import { loadEnv } from './env.ts';
import { messageOf } from './errors.ts';
import { armFault } from './fault/fault-point.ts';
import { Guests } from './guest/guest-side.ts';
import { ImageBuilds } from './guest/image/image-builds.ts';
import { createLogger } from './logger.ts';
import { Machines } from './machines/machines.ts';
import { openHost } from './open-host.ts';
import { holdDataDir } from './storage/exclusive.ts';
import { openObjectStore } from './storage/replicas/threaded-engine.ts';

/*
 * Composition root of hostd. Nothing here is needed for correctness when it ends: machines run on, and the next start takes
 * them up, after a SIGTERM as after a SIGKILL.
 */
async function start(): Promise<void> {
  await closeInherited();
  const env = loadEnv();
  armFault(env.HOSTD_FAULT);
  const log = createLogger({ level: env.LOG_LEVEL });
  const { version } = JSON.parse(await readFile(path.join(import.meta.dirname, '..', 'package.json'), 'utf8')) as {
    version: string;
  };
  const { layout, volume, imageIds, driver, accelerator, lacks } = await openHost(env);
  await holdDataDir(layout);
  log.info(
    { event: 'host.open', images: imageIds, ...driver.platform, reason: accelerator.reason, reflink: volume.reflink },
    'host is open',
  );
  if (lacks.length > 0) log.warn({ event: 'host.isolation', lacks }, 'machines run with less isolation than there could be');

  const own = ownServices({ npmUpstream: env.HOSTD_NPM_UPSTREAM, debianMirror: env.HOSTD_DEBIAN_MIRROR });
  const journal = await EgressJournal.open(layout.egress, log);
  const guests = new Guests({
    dial: createDial(),
    journal,
    authority: await CertificateAuthority.open(layout),
    trust: systemTrust(),
    ownServices: own,
    log,
  });
  const machines = await Machines.open({
    layout,
    driver,
    guest: guests,
    log,
    imageIds,
    acceleratorReason: accelerator.reason,
    isolationLacks: lacks,
    spares: env.HOSTD_SPARES,
    version,
    ...(await openObjectStore(env.HOSTD_OBJECT_STORE, layout.chunkCache)),
  });
  const prune = () =>
    machines.pruneImages().catch((err) => log.warn({ event: 'image.prune_failed', err }, 'old images could not be removed'));
  const images = new ImageBuilds({ layout, imageIds, log, onBuilt: () => void prune() });
  const server = createApi({ machines, images, guests, token: env.HOSTD_TOKEN, log });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(env.HOSTD_PORT, '127.0.0.1', resolve);
  });
  log.info({ event: 'hostd.listening', address: server.address() }, 'hostd listens');

  // A rejection nobody waited for belongs to one request. An exception nobody caught does not: Node ends the process then,
  // and the next start takes the machines up.
  process.on('unhandledRejection', (error) => {
    log.error({ event: 'hostd.unhandled_rejection', err: error }, 'a rejection was not handled');
  });
  const stop = (signal: string) => {
    log.info({ event: 'hostd.stopping', signal }, 'hostd stops, machines run on');
    server.close();
    server.closeAllConnections();
    void machines.close().finally(() => process.exit(0));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

start().catch((error) => {
  process.stderr.write(`hostd does not start: ${messageOf(error)}\n`);
  process.exitCode = 1;
});
