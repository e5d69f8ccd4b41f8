import { z } from 'zod';
import { formatPattern, parsePattern } from '../../hostd/contract/canonical-host.ts';
import { EGRESS_METHODS, EGRESS_MODES } from '../../hostd/contract/egress.ts';
import { parsePathPattern, readPath } from '../../hostd/contract/request-path.ts';

/*
 * What people write for a rule, checked and brought into its canonical form. The settings page shows that form while it is typed,
 * the API stores it, and the proxy reads it with the same parsers.
 */
export const RULES_MAX = 400;
const PORTS_MAX = 20;
const PATHS_MAX = 50;

/** A host in its canonical form. An issue says what is wrong with it and what to write. */
export const hostPatternSchema = z
  .string()
  .trim()
  .max(255, 'A host name has at most 253 characters.')
  .transform((text, ctx) => {
    const pattern = parsePattern(text);
    const problem = pattern ? problemOfName(pattern.name) : problemOfText(text);
    if (pattern && !problem) return formatPattern(pattern);
    ctx.addIssue({ code: 'custom', message: problem ?? 'This is not a host name.' });
    return z.NEVER;
  });

function problemOfText(text: string): string {
  if (text === '') return 'Enter a host, such as api.example.com.';
  if (/^[a-z]+:\/\//i.test(text)) return 'Only the host, without https:// and without a path.';
  if (/[/?#]/.test(text)) return 'Only the host; paths have a field of their own.';
  if (/:\d+$/.test(text)) return 'Only the host; ports have a field of their own.';
  if (text.includes('*')) return 'A wildcard stands alone in front: *.example.com.';
  return 'This is not a host name. Addresses are never allowed: machines reach names only.';
}

/** Names that would be refused anyway, said where they are written. */
function problemOfName(name: string): string | null {
  if (name === 'warren.internal' || name.endsWith('.warren.internal')) {
    return 'Names ending in .warren.internal are Warren’s own services and need no rule.';
  }
  if (!name.includes('.')) return 'A public name has a dot. Names of a private network are never reached.';
  return null;
}

export const pathPatternSchema = z
  .string()
  .trim()
  .max(500, 'A path has at most 500 characters.')
  .transform((text, ctx) => {
    const read = readPath(text);
    if (read.ok && parsePathPattern(text)) return read.path;
    const why = read.ok ? 'it holds ** beside something else in one segment' : read.why;
    ctx.addIssue({ code: 'custom', message: `${text === '' ? 'An empty line' : text} is not a path pattern: ${why}.` });
    return z.NEVER;
  });

const unique = <T>(values: T[]): T[] => [...new Set(values)];

export const egressRuleInputSchema = z
  .object({
    host: hostPatternSchema,
    ports: z
      .array(
        z
          .number('A port is a number.')
          .int('A port is a whole number.')
          .min(1, 'Ports begin at 1.')
          .max(65535, 'Ports end at 65535.'),
      )
      .min(1, 'Name at least one port; https is 443.')
      .max(PORTS_MAX, `At most ${PORTS_MAX} ports.`)
      .transform((ports) => unique(ports).sort((a, b) => a - b)),
    mode: z.enum(EGRESS_MODES),
    /** Null for any. */
    methods: z.array(z.enum(EGRESS_METHODS)).min(1, 'Choose at least one method, or allow all.').transform(unique).nullable(),
    paths: z
      .array(pathPatternSchema)
      .min(1, 'Write at least one path, or allow all.')
      .max(PATHS_MAX, `At most ${PATHS_MAX} paths.`)
      .transform(unique)
      .nullable(),
    webSocket: z.boolean(),
  })
  .refine(({ mode, methods, paths, webSocket }) => mode === 'inspect' || !(methods || paths || webSocket), {
    path: ['mode'],
    message: 'Methods, paths and WebSocket can be ruled only where TLS is inspected.',
  });

export type EgressRuleInput = z.input<typeof egressRuleInputSchema>;
export type CanonicalEgressRule = z.output<typeof egressRuleInputSchema>;

/** What a rule says in one line, for lists, confirmations and the audit log. */
export function describeRule({ host, ports, mode, methods, paths }: CanonicalEgressRule): string {
  const parts = [`${host}:${ports.join(',')}`, mode, methods?.join(' ') ?? '', paths?.join(' ') ?? ''];
  return parts.filter(Boolean).join(' ');
}
