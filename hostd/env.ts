import path from 'node:path';
import { z } from 'zod';
import { ACCELERATORS } from './contract/machines.ts';
import { messageOf } from './errors.ts';
import { parseFault } from './fault/fault-point.ts';
import { DEBIAN_MIRROR } from './guest/image/mirror.ts';
import { DEFAULT_UID_RANGE } from './jail/uids.ts';
import { parseStoreLocation } from './storage/replicas/open-store.ts';

/* hostd's settings, read once at start. Only composition roots import this. An empty variable counts as unset. */
export const envSchema = z.object({
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  HOSTD_DATA_DIR: z.string().default(path.resolve(import.meta.dirname, '..', '.warren', 'hostd')),
  HOSTD_PORT: z.coerce.number().int().min(0).max(65535).default(7402),
  HOSTD_TOKEN: z
    .string({ error: 'is needed: the bearer token that clients must send' })
    .min(16, 'must be at least 16 characters'),
  /** Registry behind npm.warren.internal. */
  HOSTD_NPM_UPSTREAM: z.url().default('https://registry.npmjs.org/'),
  /** Where images and, through debian.warren.internal, machines get Debian packages; see DEBIAN_MIRROR. */
  HOSTD_DEBIAN_MIRROR: z.url().includes('{archive}', 'must hold {archive}, which stands for the archive').default(DEBIAN_MIRROR),
  /** User ids for machines, `first-last`: one per machine, used by nobody else. */
  HOSTD_UID_RANGE: z.string().default(DEFAULT_UID_RANGE),
  /** Directory in the cgroup v2 hierarchy that was delegated to hostd and holds no processes. */
  HOSTD_CGROUP: z.string().startsWith('/', 'must be an absolute path below the mount point of cgroup v2').optional(),
  /** What one machine may read, and write, per second; 0 for no limit. */
  HOSTD_IO_MIB_PER_S: z.coerce.number().int().min(0).default(400),
  /** QEMU processes that are kept waiting, so that a wake need not start one. Each holds some 11 MiB; 0 for none. */
  HOSTD_SPARES: z.coerce.number().int().min(0).max(64).default(0),
  /** Where copies of snapshots go; see hostd/storage/replicas/open-store.ts. Without it they stay on this host. */
  HOSTD_OBJECT_STORE: z
    .string()
    .optional()
    .transform((text, ctx) => {
      try {
        return text === undefined ? null : parseStoreLocation(text);
      } catch (error) {
        ctx.addIssue({ code: 'custom', message: messageOf(error) });
        return z.NEVER;
      }
    }),
  /** Skips the probe. Only for tests and for operators who know better. */
  HOSTD_ACCELERATOR: z.enum(ACCELERATORS).optional(),
  /** `point=action` of hostd/fault/fault-point.ts: strikes this process there. Only for tests. */
  HOSTD_FAULT: z
    .string()
    .optional()
    .transform((text, ctx) => {
      if (text === undefined) return null;
      const fault = parseFault(text);
      if (fault === null) ctx.addIssue({ code: 'custom', message: `${text} is no fault: see hostd/fault/fault-point.ts` });
      return fault;
    }),
});

export type HostdEnv = z.infer<typeof envSchema>;
export type HostEnv = Omit<HostdEnv, 'HOSTD_PORT' | 'HOSTD_TOKEN' | 'HOSTD_NPM_UPSTREAM'>;

function parse<T>(schema: z.ZodType<T>, source: Record<string, string | undefined>): T {
  const given = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')} ${issue.message}`);
  throw new Error(`The environment is not complete:\n${lines.join('\n')}`);
}

/** @throws with one line per wrong variable: its name, what is wrong and what to do */
export function loadEnv(source: Record<string, string | undefined> = process.env): HostdEnv {
  return parse(envSchema, source);
}

/** The part that the image build and the doctor need; they run without a token. */
export function loadHostEnv(source: Record<string, string | undefined> = process.env): HostEnv {
  return parse(envSchema.omit({ HOSTD_PORT: true, HOSTD_TOKEN: true, HOSTD_NPM_UPSTREAM: true }), source);
}
