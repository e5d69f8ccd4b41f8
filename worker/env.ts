import path from 'node:path';
import { z } from 'zod';
import {
  chooseProvider,
  describeProvider,
  type ModelProvider,
  OPENAI_BASE_URL,
  OPENAI_MODEL,
} from '../server/gateway/provider.ts';

/* The worker's settings, read once at start by main.ts only. An empty variable counts as unset. */
export const envSchema = z
  .object({
    LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    WARREN_DATA_DIR: z.string().default(path.resolve(import.meta.dirname, '..', '.warren')),
    WARREN_INTERNAL_PORT: z.coerce.number().int().min(1).max(65535).default(7401),
    DATABASE_URL: z.url('is needed: the connection string of the role warren_app'),
    DATABASE_SYSTEM_URL: z.url('is needed: the connection string of the role warren_system'),
    WARREN_GRANT_SECRET: z.string().min(32, 'must be at least 32 characters: make one with `openssl rand -base64 32`'),
    WARREN_SECRETS_KEY: z.string().min(32, 'must be at least 32 characters: make one with `openssl rand -base64 32`'),
    /** Keys that WARREN_SECRETS_KEY replaced, separated by blanks, until the worker has said that none is in use. */
    WARREN_SECRETS_KEY_PREVIOUS: z
      .string()
      .default('')
      .transform((text) => text.split(/\s+/).filter(Boolean)),
    /** Secrets for copies in an object store, comma-separated: the current one, then former ones that older copies need. */
    WARREN_STORE_SECRET: z
      .string()
      .default('')
      .transform((text) => text.split(',').filter((secret) => secret !== ''))
      .refine((secrets) => secrets.every((secret) => secret.length >= 32), 'each must have at least 32 characters'),
    HOSTD_URL: z.url().default('http://127.0.0.1:7402'),
    HOSTD_TOKEN: z.string().min(1, 'is needed: the bearer token that hostd was started with'),
    FORGE_DIR: z.string().optional(),
    OPENAI_API_KEY: z.string().optional(),
    OPENAI_BASE_URL: z.url().default(OPENAI_BASE_URL),
    WARREN_MODEL: z.string().default(OPENAI_MODEL),
    /** Lets organizations share a host that does not keep them apart: for evaluation, or where all of them trust each other. */
    WARREN_ALLOW_WEAK_ISOLATION: z.stringbool().default(false),
    /** Sessions driven at once by this process; each waits most of the time. */
    WARREN_SESSIONS_MAX: z.coerce.number().int().min(1).max(500).default(20),
    /** A turn in which the agent says nothing for this long is cancelled. */
    WARREN_AGENT_SILENCE_MS: z.coerce
      .number()
      .int()
      .min(1000)
      .default(10 * 60_000),
  })
  .transform(({ OPENAI_API_KEY, OPENAI_BASE_URL, WARREN_MODEL, ...env }) => ({
    ...env,
    FORGE_DIR: env.FORGE_DIR ?? path.join(env.WARREN_DATA_DIR, 'forge'),
    /** What agents ask the gateway for. The key itself is the web process's; here it only decides whether there is one. */
    model: modelOf(chooseProvider({ OPENAI_API_KEY, OPENAI_BASE_URL, WARREN_MODEL })),
  }));

function modelOf(provider: ModelProvider) {
  const { model: name, scripted } = describeProvider(provider);
  return { name, scripted };
}

export type Env = z.infer<typeof envSchema>;

/** @throws with one line per wrong variable: its name, what is wrong and what to do */
export function loadEnv(source: Record<string, string | undefined> = process.env): Env {
  const given = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ''));
  const parsed = envSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')} ${issue.message}`);
  throw new Error(`The worker's environment is not complete:\n${lines.join('\n')}`);
}
