import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { z } from 'zod';
import { egressCollectedSchema, egressPolicySchema } from '../../../hostd/contract/egress.ts';
import { HOSTD_ERROR_STATUS, type HostdErrorCode } from '../../../hostd/contract/errors.ts';
import { imageVariantSchema } from '../../../hostd/contract/images.ts';
import {
  checkpointMachineSchema,
  createMachineSchema,
  execSchema,
  rewindMachineSchema,
  suspendMachineSchema,
  writeBytesSchema,
} from '../../../hostd/contract/machines.ts';
import { collectSchema, evictSchema, fetchSnapshotSchema, replicateSchema } from '../../../hostd/contract/replicas.ts';
import { readBody } from '../http-request.ts';
import { type FakeHost, FakeRefusal } from './fake-host.ts';
import type { FakeMachine } from './fake-machine.ts';

export const FAKE_TOKEN = 'fake-token';

/** Serves a FakeHost over the contract's routes on a local port (0: a free one), so that tests use the real client on a real wire. */
export async function serveFakeHost(fake: FakeHost, port = 0): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer((req, res) => {
    route(fake, req, res).catch((error: unknown) => refuse(res, error));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function refuse(res: ServerResponse, error: unknown) {
  const code: HostdErrorCode = error instanceof FakeRefusal ? error.code : 'internal';
  const message = error instanceof Error ? error.message : String(error);
  if (res.headersSent) return res.destroy();
  res.writeHead(HOSTD_ERROR_STATUS[code], { 'content-type': 'application/json' });
  return res.end(JSON.stringify({ ok: false, error: { code, message } }));
}

const reply = (res: ServerResponse, value: unknown) => {
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ ok: true, value }));
};

async function parse<S extends z.ZodType>(req: IncomingMessage, schema: S): Promise<z.output<S>> {
  const parsed = schema.safeParse(JSON.parse((await readBody(req)).toString()));
  if (!parsed.success) throw new FakeRefusal('bad_request', parsed.error.message);
  return parsed.data;
}

async function route(fake: FakeHost, req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.headers.authorization !== `Bearer ${FAKE_TOKEN}`) throw new FakeRefusal('unauthorized', 'wrong token');
  const url = new URL(req.url ?? '/', 'http://fake');
  const [, , noun, id, verb] = url.pathname.split('/');
  const path = url.searchParams.get('path') ?? '';
  switch (`${req.method} ${noun}${id ? '/:id' : ''}${verb ? `/${verb}` : ''}`) {
    case 'GET host':
      return reply(res, fake.host());
    case 'GET machines':
      return reply(
        res,
        [...fake.machines.values()].map(({ view }) => view),
      );
    case 'GET machines/:id':
      return reply(res, fake.machine(id!).view);
    case 'PUT machines/:id':
      return reply(res, fake.create(id!, await parse(req, createMachineSchema)).view);
    case 'DELETE machines/:id':
      return reply(res, fake.remove(id!) ?? {});
    case 'POST machines/:id/checkpoint':
      return reply(res, fake.checkpoint(id!, await parse(req, checkpointMachineSchema)));
    case 'POST machines/:id/rewind':
      return reply(res, fake.rewind(id!, await parse(req, rewindMachineSchema)).view);
    case 'POST machines/:id/suspend':
      return reply(res, fake.suspend(id!, await parse(req, suspendMachineSchema)));
    case 'PUT machines/:id/egress':
      fake.machine(id!).created.egress = await parse(req, egressPolicySchema);
      return reply(res, {});
    case 'GET egress-feed':
      return reply(res, fake.feed);
    case 'POST egress-feed/:id':
      fake.collected.push((await parse(req, egressCollectedSchema)).upTo);
      return reply(res, {});
    case 'POST machines/:id/exec':
      return reply(res, await fake.exec(id!, await parse(req, execSchema)));
    case 'POST machines/:id/write': {
      const { path: target, dataBase64, mode } = await parse(req, writeBytesSchema);
      const { guest } = fake.machine(id!);
      if (mode === 'replace') guest.files.set(target, Buffer.from(dataBase64, 'base64'));
      else guest.append(target, Buffer.from(dataBase64, 'base64'));
      return reply(res, {});
    }
    case 'GET machines/:id/tail':
      return tail(fake.machine(id!), path, Number(url.searchParams.get('offset')), res);
    case 'GET machines/:id/activity':
      return reply(res, { terminals: [], execs: 0, connections: 0, ...fake.machine(id!).activity });
    case 'GET machines/:id/file': {
      const bytes = fake.machine(id!).guest.files.get(path);
      if (!bytes) throw new FakeRefusal('not_found', `no file ${path}`);
      res.writeHead(200).end(bytes);
      return;
    }
    case 'GET images':
      return reply(res, fake.images);
    case 'PUT images/:id':
      return reply(res, fake.buildImage(imageVariantSchema.parse(id)));
    case 'GET snapshots':
      return reply(
        res,
        [...fake.snapshots.values()].map(({ view }) => view),
      );
    case 'GET snapshots/:id':
      return reply(res, fake.snapshot(id!));
    case 'POST snapshots/:id/replicate':
      return reply(res, fake.replicate(id!, await parse(req, replicateSchema)));
    case 'POST snapshots/:id/fetch':
      return reply(res, fake.fetchSnapshot(id!, await parse(req, fetchSnapshotSchema)));
    case 'POST store/:id':
      await parse(req, collectSchema);
      return reply(res, fake.collect());
    case 'POST snapshots/:id/evict':
      await parse(req, evictSchema);
      return reply(res, fake.evict(id!));
    case 'DELETE snapshots/:id':
      return reply(res, fake.removeSnapshot(id!) ?? {});
    default:
      throw new FakeRefusal('not_found', `${req.method} ${url.pathname} is not in the fake`);
  }
}

function tail({ guest }: FakeMachine, path: string, offset: number, res: ServerResponse) {
  let sent = offset;
  const pump = () => {
    const bytes = guest.files.get(path)?.subarray(sent) ?? Buffer.alloc(0);
    sent += bytes.byteLength;
    if (bytes.byteLength > 0) res.write(bytes);
  };
  const end = () => res.end();
  res.writeHead(200, { 'content-type': 'application/octet-stream' });
  res.flushHeaders();
  guest.on('appended', pump).once('ended', end);
  res.once('close', () => guest.off('appended', pump).off('ended', end));
  pump();
}
