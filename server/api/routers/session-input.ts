import { z } from 'zod';

export const sessionInput = z.object({ sessionId: z.string().max(50) });

/** The most an organization's policy can allow; the policy itself usually allows less, and says so. */
const PROMPT_BYTES_MAX = 1_000_000;

export const promptSchema = z
  .string()
  .refine((text) => text.trim() !== '', 'Say what is to be done.')
  .refine(
    (text) => Buffer.byteLength(text) <= PROMPT_BYTES_MAX,
    'The text is longer than 1 MB. Put long material into the repository.',
  )
  // PostgreSQL's text cannot hold it, and nobody types it.
  .refine((text) => !text.includes('\0'), 'The text contains a NUL character.');
