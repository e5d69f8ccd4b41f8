import { z } from 'zod';
import { hostPatternSchema } from '../egress/contract.ts';

/*
 * What people write for a secret, checked for the settings page and the API alike. A value goes in and never comes out again.
 */
export const SECRET_SCHEMES = ['bearer', 'basic', 'raw'] as const;
export type SecretScheme = (typeof SECRET_SCHEMES)[number];
export const SECRET_PURPOSES = ['session', 'template', 'check'] as const;
export const SECRETS_MAX = 200;

/** Of a header's whole value. */
const VALUE_CHARS_MAX = 8_000;

/** These say how a request travels or where it goes; they are the proxy's. */
const PROXY_HEADERS = /^(host|content-length|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|proxy-.*)$/;

const headerSchema = z
  .string()
  .trim()
  .toLowerCase()
  .min(1, 'Enter the header’s name, such as authorization.')
  .max(64, 'A header’s name has at most 64 characters.')
  .regex(/^[a-z0-9-]*$/, 'A header’s name has letters, digits and hyphens.')
  .refine((name) => !PROXY_HEADERS.test(name), 'This header says how a request travels and cannot be set.');

const valueSchema = z
  .string()
  .trim()
  .min(1, 'Enter the value.')
  .max(VALUE_CHARS_MAX, `A value has at most ${VALUE_CHARS_MAX} characters.`)
  .regex(/^[\x20-\x7e]*$/, 'A value is one line of plain (ASCII) characters.');

const userNameSchema = z
  .string()
  .max(200, 'A user name has at most 200 characters.')
  .regex(/^[\x20-\x39\x3b-\x7e]*$/, 'A user name has plain (ASCII) characters and no colon.');

const hostSchema = hostPatternSchema.refine((host) => !host.startsWith('*.'), {
  message: 'A secret goes to exactly one host: whoever holds a name below a wildcard would get it.',
});

export const secretInputSchema = z.object({
  name: z.string().trim().min(1, 'Enter a name, so that people know what it is.').max(100, 'A name has at most 100 characters.'),
  host: hostSchema,
  header: headerSchema,
  scheme: z.enum(SECRET_SCHEMES),
  /** With `basic` only. */
  userName: userNameSchema.default(''),
  value: valueSchema,
  plainHttp: z.boolean(),
  purposes: z.array(z.enum(SECRET_PURPOSES)).min(1, 'Choose at least one kind of machine.'),
});
export type SecretInput = z.input<typeof secretInputSchema>;
export type NewSecret = z.output<typeof secretInputSchema>;

export const secretValueSchema = secretInputSchema.pick({ userName: true, value: true });
export type NewSecretValue = z.output<typeof secretValueSchema>;
