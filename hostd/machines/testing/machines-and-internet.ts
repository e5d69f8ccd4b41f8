import { once } from 'node:events';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import http, { type RequestListener } from 'node:http';
import https from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import pino from 'pino';
import { CertificateAuthority } from '../../egress/authority.ts';
import { createDial } from '../../egress/dial.ts';
import { EgressJournal } from '../../egress/journal.ts';
import { ownServices } from '../../egress/services.ts';
import { hostName } from '../../egress/testing/proxy-rig.ts';
import { Guests } from '../../guest/guest-side.ts';
import type { Logger } from '../../logger.ts';
import { type Layout, layoutOf } from '../../storage/layout.ts';
import { prepareDataDir } from '../../storage/volume.ts';
import { Machines } from '../machines.ts';
import { openTestHost } from './vm-host.ts';

export type Internet = {
  /** Names that lead to the servers of the test; there are no others. */
  names: readonly string[];
  answer: RequestListener;
};

export type MachinesAndInternet = {
  layout: Layout;
  guests: Guests;
  machines: Machines;
  /** Of the internet's one HTTPS server, which has a good certificate for each of its names. */
  httpsPort: number;
  httpPort: number;
  /** Removes these machines and all files. */
  close(machineIds: readonly string[]): Promise<void>;
};

/**
 * Real machines of this process over a data directory of their own, and an internet that is two servers on this host's loopback, let
 * through by a resolver and an exemption. Everything between a machine and its server is hostd's own.
 */
export async function openMachinesAndInternet(
  { names, answer }: Internet,
  { log = pino({ level: 'silent' }), debianMirror }: { log?: Logger; debianMirror?: string } = {},
): Promise<MachinesAndInternet> {
  const host = await openTestHost();
  const layout = layoutOf(await mkdtemp(path.join(host.layout.dataDir, 'internet-')));
  await symlink(host.layout.images, layout.images);
  await prepareDataDir(layout);
  const outside = await mkdtemp(path.join(tmpdir(), 'warren-internet-'));

  const files = { egressKey: path.join(outside, 'key'), egressCertificate: path.join(outside, 'crt') };
  const publicAuthority = await CertificateAuthority.open(files);
  const SNICallback = (name: string, done: (error: null, context: tls.SecureContext) => void) =>
    done(null, publicAuthority.contextFor(hostName(name)));
  const servers = [https.createServer({ SNICallback }, answer), http.createServer(answer)] as const;
  const [httpsPort, httpPort] = await Promise.all(servers.map(listen));

  const guests = new Guests({
    dial: createDial({
      resolve: async (name) => (names.includes(name) ? ['127.0.0.1'] : Promise.reject(new Error('ENOTFOUND'))),
      isForbidden: (address) => address !== '127.0.0.1',
    }),
    journal: await EgressJournal.open(layout.egress, log),
    authority: await CertificateAuthority.open(layout),
    trust: tls.createSecureContext({ ca: publicAuthority.certificate }),
    ownServices: ownServices({ npmUpstream: undefined, debianMirror }),
    log,
  });
  const { driver, imageIds } = host;
  const facts = { acceleratorReason: 'test', isolationLacks: host.lacks, version: 'test', spares: 0 };
  const machines = await Machines.open({ layout, driver, guest: guests, log, imageIds, ...facts });
  return {
    layout,
    guests,
    machines,
    httpsPort: httpsPort!,
    httpPort: httpPort!,
    close: async (machineIds) => {
      for (const id of machineIds) await machines.remove(id, 1_000).catch(() => {});
      await machines.close();
      for (const server of servers) server.close();
      for (const dir of [layout.dataDir, layout.runDir, outside]) await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
