import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { envSchema as hostdSchema } from '../hostd/env.ts';
import { envSchema as webSchema } from '../server/env.ts';
import { envSchema as workerSchema } from '../worker/env.ts';

/** Read by something else than Warren's three processes. */
const OTHERS = [
  'WARREN_POSTGRES_PORT',
  'DATABASE_OWNER_URL',
  'TEST_DATABASE_URL',
  'CHROMIUM_PATH',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
];

const schemas: Record<string, z.ZodType> = { ...hostdSchema.shape, ...webSchema.shape, ...workerSchema.in.shape };

/** Of every table of docs/operations.md whose first cell names variables: each with the cell of its default. */
async function documented(): Promise<Map<string, string>> {
  const text = await readFile('docs/operations.md', 'utf8');
  const rows = text.matchAll(/^\| ((?:`[A-Z0-9_]+`(?:, )?)+) \| ([^|]*) \|/gm);
  return new Map([...rows].flatMap(([, names, value]) => [...names!.matchAll(/`(\w+)`/g)].map(([, name]) => [name!, value!])));
}

describe('settings', () => {
  it('are those of docs/operations.md', async () => {
    const names = [...(await documented()).keys()];
    expect(names.toSorted()).toEqual([...Object.keys(schemas), ...OTHERS].toSorted());
  });

  it('have the defaults that are written there', async () => {
    const rows = await documented();
    const wrong = Object.entries(schemas).flatMap(([name, schema]) => {
      const { data } = schema.safeParse(undefined);
      const isWritten = ['string', 'number', 'boolean'].includes(typeof data) && data !== '' && !String(data).startsWith('/');
      return isWritten && !rows.get(name)?.includes(`${data}`) ? [`${name}: ${data}`] : [];
    });
    expect(wrong).toEqual([]);
  });
});
