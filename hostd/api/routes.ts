import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { egressCollectedSchema, egressPolicySchema } from '../contract/egress.ts';
import { type ImageVariant, imageVariantSchema } from '../contract/images.ts';
import {
  checkpointMachineSchema,
  createMachineSchema,
  execSchema,
  FILE_BYTES_MAX,
  idSchema,
  rewindMachineSchema,
  suspendMachineSchema,
  writeBytesSchema,
} from '../contract/machines.ts';
import { collectSchema, evictSchema, fetchSnapshotSchema, replicateSchema } from '../contract/replicas.ts';
import type { Guests } from '../guest/guest-side.ts';
import type { ImageBuilds } from '../guest/image/image-builds.ts';
import { parse, readBody, readJson } from './body.ts';
import type { MachinesPort } from './machines-port.ts';

export type RouteDeps = { machines: MachinesPort; images: Pick<ImageBuilds, 'list' | 'build'>; guests: Guests };
export type RouteContext = RouteDeps & {
  req: IncomingMessage;
  res: ServerResponse;
  /** From the path, already checked against the contract's alphabet; empty where the path has none. */
  id: string;
  query: Record<string, string>;
};

/** The value of the reply; undefined when the handler has written the response itself. */
type Handler = (ctx: RouteContext) => Promise<unknown>;
export type Route = { method: string; path: string; handle: Handler };

const MEBIBYTE = 1024 * 1024;
const BODY_BYTES_MAX = MEBIBYTE;
/** Base64 of WriteBytes, the input of Exec and an organization's rules and secrets, with JSON's escapes. */
const LARGE_BODY_BYTES_MAX = 24 * MEBIBYTE;

const guestPath = z
  .string()
  .startsWith('/')
  .max(4096)
  .refine((path) => !path.includes('\0'), 'holds a NUL byte');
const byPath = z.object({ path: guestPath });
const tailQuery = z.object({ path: guestPath, offset: z.coerce.number().int().min(0).default(0) });
const leaseQuery = z.object({ lease: z.coerce.number().int().min(1) });
const feedQuery = z.object({
  waitMs: z.coerce.number().int().min(0).max(60_000).default(0),
  max: z.coerce.number().int().min(1).max(5_000).default(1_000),
});
const afterQuery = z.object({ after: z.coerce.number().int().min(0).default(0) });

const OCTETS = { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' };
const EMPTY = {};

/** Tells a machine that never was (`not_found`) from one that does not run now (`conflict`, thrown by the guest side). */
const withMachine =
  (handle: Handler): Handler =>
  async (ctx) => {
    await ctx.machines.get(ctx.id);
    return handle(ctx);
  };

/** What a path's variable part must be. `:id` is a machine or snapshot id. */
const PARTS: Readonly<Record<string, z.ZodType<string>>> = { ':id': idSchema, ':variant': imageVariantSchema };

/** The contract's table, in its order. */
export const ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/host',
    handle: async ({ machines, images }) => ({ ...(await machines.host()), images: await images.list() }),
  },
  { method: 'GET', path: '/v1/machines', handle: ({ machines }) => machines.list() },
  { method: 'GET', path: '/v1/machines/:id', handle: ({ machines, id }) => machines.get(id) },
  {
    method: 'PUT',
    path: '/v1/machines/:id',
    handle: async ({ machines, req, id }) => machines.create(id, await readJson(req, createMachineSchema, LARGE_BODY_BYTES_MAX)),
  },
  {
    method: 'DELETE',
    path: '/v1/machines/:id',
    handle: async ({ machines, id, query }) => {
      await machines.remove(id, parse(leaseQuery, query).lease);
      return EMPTY;
    },
  },
  {
    method: 'POST',
    path: '/v1/machines/:id/suspend',
    handle: async ({ machines, req, id }) => machines.suspend(id, await readJson(req, suspendMachineSchema, BODY_BYTES_MAX)),
  },
  {
    method: 'POST',
    path: '/v1/machines/:id/checkpoint',
    handle: async ({ machines, req, id }) =>
      machines.checkpoint(id, await readJson(req, checkpointMachineSchema, BODY_BYTES_MAX)),
  },
  {
    method: 'POST',
    path: '/v1/machines/:id/rewind',
    handle: async ({ machines, req, id }) => machines.rewind(id, await readJson(req, rewindMachineSchema, BODY_BYTES_MAX)),
  },
  {
    method: 'PUT',
    path: '/v1/machines/:id/egress',
    handle: async ({ machines, req, id }) => {
      await machines.setEgress(id, await readJson(req, egressPolicySchema, LARGE_BODY_BYTES_MAX));
      return EMPTY;
    },
  },
  {
    method: 'GET',
    path: '/v1/machines/:id/egress-log',
    handle: withMachine(async ({ guests, id, query }) => guests.egressLog(id, parse(afterQuery, query).after)),
  },
  {
    method: 'GET',
    path: '/v1/egress-feed',
    handle: async ({ guests, res, query }) => {
      const left = new AbortController();
      res.once('close', () => left.abort());
      return guests.egressFeed({ ...parse(feedQuery, query), signal: left.signal });
    },
  },
  {
    method: 'POST',
    path: '/v1/egress-feed/collected',
    handle: async ({ guests, req }) => {
      guests.egressCollected(await readJson(req, egressCollectedSchema, BODY_BYTES_MAX));
      return EMPTY;
    },
  },
  {
    method: 'POST',
    path: '/v1/machines/:id/exec',
    handle: withMachine(async ({ guests, req, id }) => guests.exec(id, await readJson(req, execSchema, LARGE_BODY_BYTES_MAX))),
  },
  {
    method: 'POST',
    path: '/v1/machines/:id/write',
    handle: withMachine(async ({ guests, req, id }) => {
      const { path, dataBase64, mode, user } = await readJson(req, writeBytesSchema, LARGE_BODY_BYTES_MAX);
      await guests.write(id, { path: parse(guestPath, path), bytes: Buffer.from(dataBase64, 'base64'), mode, user });
      return EMPTY;
    }),
  },
  {
    method: 'GET',
    path: '/v1/machines/:id/tail',
    handle: withMachine(async ({ guests, res, id, query }) => {
      const left = new AbortController();
      res.once('close', () => left.abort());
      const copy = await guests.follow(id, { ...parse(tailQuery, query), signal: left.signal });
      res.writeHead(200, OCTETS);
      res.flushHeaders();
      await copy(res);
      res.end();
    }),
  },
  {
    method: 'GET',
    path: '/v1/machines/:id/files',
    handle: withMachine(({ guests, id, query }) => guests.files(id, parse(byPath, query).path)),
  },
  {
    method: 'GET',
    path: '/v1/machines/:id/file',
    handle: withMachine(async ({ guests, res, id, query }) => {
      const bytes = await guests.readFile(id, parse(byPath, query).path);
      res.writeHead(200, { ...OCTETS, 'content-length': bytes.length }).end(bytes);
    }),
  },
  {
    method: 'PUT',
    path: '/v1/machines/:id/file',
    handle: withMachine(async ({ guests, req, id, query }) => {
      const { path } = parse(byPath, query);
      await guests.write(id, { path, bytes: await readBody(req, FILE_BYTES_MAX), mode: 'replace', user: 'agent' });
      return EMPTY;
    }),
  },
  {
    method: 'GET',
    path: '/v1/machines/:id/activity',
    handle: withMachine(async ({ guests, machines, id }) => ({ ...guests.activity(id), cpuMs: await machines.cpuMs(id) })),
  },
  {
    method: 'GET',
    path: '/v1/machines/:id/console',
    handle: async ({ machines, res, id }) => {
      const text = await machines.console(id);
      res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }).end(text);
    },
  },
  { method: 'GET', path: '/v1/images', handle: ({ images }) => images.list() },
  {
    method: 'PUT',
    path: '/v1/images/:variant',
    handle: ({ images, id }) => images.build(id as ImageVariant),
  },
  { method: 'GET', path: '/v1/snapshots', handle: ({ machines }) => machines.snapshots() },
  { method: 'GET', path: '/v1/snapshots/:id', handle: ({ machines, id }) => machines.snapshot(id) },
  {
    method: 'POST',
    path: '/v1/snapshots/:id/replicate',
    handle: async ({ machines, req, id }) => machines.replicate(id, await readJson(req, replicateSchema, BODY_BYTES_MAX)),
  },
  {
    method: 'POST',
    path: '/v1/snapshots/:id/fetch',
    handle: async ({ machines, req, id }) => machines.fetchSnapshot(id, await readJson(req, fetchSnapshotSchema, BODY_BYTES_MAX)),
  },
  {
    method: 'POST',
    path: '/v1/snapshots/:id/evict',
    handle: async ({ machines, req, id }) => machines.evict(id, (await readJson(req, evictSchema, BODY_BYTES_MAX)).key),
  },
  {
    method: 'POST',
    path: '/v1/store/collect',
    handle: async ({ machines, req }) => machines.collect(await readJson(req, collectSchema, BODY_BYTES_MAX)),
  },
  {
    method: 'DELETE',
    path: '/v1/snapshots/:id',
    handle: async ({ machines, id }) => {
      await machines.removeSnapshot(id);
      return EMPTY;
    },
  },
];

/** The route of a path and its variable part. Null when there is none; `bad_request` for a part that the contract does not allow. */
export function findRoute(method: string, pathname: string): { route: Route; id: string } | null {
  const words = pathname.split('/');
  for (const route of ROUTES) {
    const pattern = route.path.split('/');
    if (route.method !== method || pattern.length !== words.length) continue;
    if (!pattern.every((word, at) => word in PARTS || word === words[at])) continue;
    const at = pattern.findIndex((word) => word in PARTS);
    return { route, id: at === -1 ? '' : parse(PARTS[pattern[at]!]!, words[at]) };
  }
  return null;
}
