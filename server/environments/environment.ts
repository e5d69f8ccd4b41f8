import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { z } from 'zod';
import { BASE_VARIANT, type ImageVariant, imageVariantSchema } from '../../hostd/contract/images.ts';

/** Where a repository says how its machines are prepared and what its changes must pass. */
export const ENVIRONMENT_PATH = '.warren/environment.yaml';

const commandSchema = z.string().trim().min(1, 'a command may not be empty').max(4000);

/** A Debian package's name, and nothing that apt would take for an option, a version or a file. */
const packageSchema = z.string().regex(/^[a-z0-9][a-z0-9+.-]{0,99}[a-z0-9+]$/, 'not the name of a Debian package');

const fileSchema = z.strictObject({
  /** Run in order in the fresh clone when a template is built; installs dependencies. */
  setup: z.array(commandSchema).max(50).default([]),
  /** Each runs in a machine of its own for every pushed commit; exit code 0 passes. */
  checks: z
    .array(
      z.strictObject({
        name: z
          .string()
          .regex(/^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,49}$/u, 'a name is 1 to 50 letters, digits, spaces, dots or dashes'),
        command: commandSchema,
      }),
    )
    .max(20)
    .default([])
    .refine((checks) => new Set(checks.map((check) => check.name)).size === checks.length, 'two checks have the same name'),
  ports: z.array(z.number().int().min(1).max(65535)).max(20).default([]),
  /** What machines boot from; the host builds it when it is first asked for. */
  image: imageVariantSchema.default(BASE_VARIANT),
  /** Debian packages that are installed, through the proxy, before the set-up runs. */
  packages: z.array(packageSchema).max(200).default([]),
  size: z
    .strictObject({
      /** MEMORY_MIB of the image when absent. */
      memoryMiB: z.number().int().min(512).max(65536).optional(),
      vcpus: z.number().int().min(1).max(32).default(1),
      diskGiB: z.number().int().min(4).max(500).default(8),
    })
    .prefault({}),
});

/** With less a desktop's browser is ended by the kernel; containers come beside dockerd and the agent. */
const MEMORY_MIB: Readonly<Record<ImageVariant, number>> = { base: 1024, desktop: 2048, docker: 2048 };

export const environmentSchema = fileSchema.transform((file) => ({
  ...file,
  size: { ...file.size, memoryMiB: file.size.memoryMiB ?? MEMORY_MIB[file.image] },
}));

export type Environment = z.infer<typeof environmentSchema>;
export type EnvironmentProblem = { line: number; message: string };
export type EnvironmentResult = { ok: true; environment: Environment } | { ok: false; problems: EnvironmentProblem[] };

export const ENVIRONMENT_BYTES_MAX = 64 * 1024;

/** Reads the file's text; null when the repository has none, which means the defaults. Lines are 1-based. */
export function parseEnvironment(text: string | null): EnvironmentResult {
  if (text === null) return { ok: true, environment: environmentSchema.parse({}) };
  const lineCounter = new LineCounter();
  // Anchors and aliases are refused: they add nothing here and can blow up a small file.
  const document = parseDocument(text, { lineCounter, prettyErrors: false, schema: 'core' });
  const lineAt = (offset: number) => Math.max(1, lineCounter.linePos(offset).line);
  if (document.errors.length > 0) {
    return {
      ok: false,
      problems: document.errors.slice(0, 10).map((error) => ({ line: lineAt(error.pos[0]), message: error.message })),
    };
  }
  const value = toPlain(document.contents, document);
  if (!value.ok) return { ok: false, problems: [{ line: 1, message: value.message }] };
  const parsed = environmentSchema.safeParse(value.plain ?? {});
  if (parsed.success) return { ok: true, environment: parsed.data };
  // A misspelt key comes before the one that is missing because of it.
  const issues = parsed.error.issues.toSorted(
    (a, b) => Number(b.code === 'unrecognized_keys') - Number(a.code === 'unrecognized_keys'),
  );
  const problems = issues.slice(0, 10).map((issue) => ({
    line: lineAt(offsetOf(document.contents, issue)),
    message: `${issue.path.length > 0 ? `${issue.path.join('.')}: ` : ''}${issue.message}`,
  }));
  return { ok: false, problems };
}

/** One line for people: `.warren/environment.yaml line 4: …`. */
export function describeProblems(problems: EnvironmentProblem[]): string {
  return problems.map(({ line, message }) => `${ENVIRONMENT_PATH} line ${line}: ${message}`).join('\n');
}

function toPlain(contents: Node | null, document: { toJS: (options: { maxAliasCount: number }) => unknown }) {
  if (contents === null) return { ok: true as const, plain: {} };
  try {
    return { ok: true as const, plain: document.toJS({ maxAliasCount: 0 }) };
  } catch {
    return { ok: false as const, message: 'anchors and aliases are not supported' };
  }
}

/** Where in the text the value is that an issue is about; the nearest thing around it when that is missing. */
function offsetOf(contents: Node | null, issue: { path: PropertyKey[]; keys?: string[] }): number {
  const path = issue.keys?.[0] === undefined ? issue.path : [...issue.path, issue.keys[0]];
  let node: unknown = contents;
  let offset = contents?.range?.[0] ?? 0;
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      if (!pair) return offset;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else {
      const child: unknown = (node as { items?: unknown[] } | null)?.items?.[Number(key)];
      if (child === undefined) return offset;
      node = child;
      offset = (child as Node).range?.[0] ?? offset;
    }
  }
  return offset;
}
