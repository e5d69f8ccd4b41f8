import { z } from 'zod';
import { GITHUB_URL } from './auth/github.ts';
import { OPENAI_BASE_URL, OPENAI_MODEL } from './gateway/provider.ts';

/*
 * The web process's settings, read once at start. Only composition roots import this; everything else receives values.
 * An empty variable counts as unset.
 */
const port = (fallback: number) => z.coerce.number().int().min(1).max(65535).default(fallback);
const needed = (what: string) => z.string(`is needed: ${what}`);
const secret = needed('at least 32 characters, made with `openssl rand -base64 32`').min(
  32,
  'must be at least 32 characters: make one with `openssl rand -base64 32`',
);

export const envSchema = z
  .object({
    NODE_ENV: z.enum(['development', 'production', 'test']).default('production'),
    LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    WARREN_PORT: port(7400),
    WARREN_INTERNAL_PORT: port(7401),
    WARREN_URL: z.url().default('http://localhost:7400'),
    /** Set when a reverse proxy of ours sets X-Forwarded-For; without one, clients could make it up. */
    WARREN_TRUST_PROXY: z.stringbool().default(false),
    DATABASE_URL: z.url('is needed: the connection string of the role warren_app'),
    DATABASE_SYSTEM_URL: z.url('is needed: the connection string of the role warren_system'),
    NEXTAUTH_SECRET: secret,
    WARREN_GRANT_SECRET: secret,
    /** Encrypts the data keys of organizations' secrets. Losing it loses the secrets. */
    WARREN_SECRETS_KEY: secret,
    /** Keys that WARREN_SECRETS_KEY replaced, separated by blanks, until the worker has said that none is in use. */
    WARREN_SECRETS_KEY_PREVIOUS: z
      .string()
      .default('')
      .transform((text) => text.split(/\s+/).filter(Boolean)),
    HOSTD_URL: z.url().default('http://127.0.0.1:7402'),
    HOSTD_TOKEN: needed('the bearer token that hostd was started with'),
    // Never a default here: the bundler takes a path in code for an asset and reads everything below it, disk images too.
    FORGE_DIR: needed('the directory of the built-in forge’s repositories, such as /var/lib/warren/forge'),
    /** Lets organizations share a host that does not keep them apart: for evaluation, or where all of them trust each other. */
    WARREN_ALLOW_WEAK_ISOLATION: z.stringbool().default(false),
    OPENAI_API_KEY: z.string().optional(),
    OPENAI_BASE_URL: z.url().default(OPENAI_BASE_URL),
    WARREN_MODEL: z.string().default(OPENAI_MODEL),
    /** Set by `npm start` where it made a demo organization; shown on the sign-in page. */
    WARREN_DEMO_EMAIL: z.email().optional(),
    GITHUB_ID: z.string().optional(),
    GITHUB_SECRET: z.string().optional(),
    /** A GitHub Enterprise Server instead of github.com. */
    GITHUB_URL: z
      .url()
      .default(GITHUB_URL)
      .transform((url) => url.replace(/\/+$/, '')),
  })
  .refine((env) => Boolean(env.GITHUB_ID) === Boolean(env.GITHUB_SECRET), {
    path: ['GITHUB_SECRET'],
    message: 'and GITHUB_ID are set together: sign-in with GitHub needs both, without it set neither',
  });

export type Env = z.infer<typeof envSchema>;

/** @throws with one line per wrong variable: its name, what is wrong and what to do */
export function loadEnv(source: Record<string, string | undefined> = process.env): Env {
  const given = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ''));
  const parsed = envSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')} ${issue.message}`);
  throw new Error(`The environment is not complete:\n${lines.join('\n')}`);
}

/** next-auth reads its public address from the environment only. */
export function exportForNextAuth(env: Env): void {
  process.env.NEXTAUTH_URL = env.WARREN_URL;
}
