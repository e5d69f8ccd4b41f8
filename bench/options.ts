import { parseArgs } from 'node:util';
import { z } from 'zod';

export const FIGURES = ['resume', 'growth', 'freeze', 'fork', 'idle', 'storage', 'soak'] as const;
export type FigureName = (typeof FIGURES)[number];

export const PEERS = ['loadvm', 'libvirt', 'coldBoot'] as const;

export const HELP = `npm run bench -- machines [options]   figures of machines, peers in the same run
npm run bench -- soak --cycles N     suspend, resume, fork and move with the verifier

  --json           the last line is one JSON object
  --pairs N        rounds in which every side is measured once (default 8)
  --quick          3 rounds, only resume, suspend and fork: under 8 minutes once prepared
  --only a,b       only these figures: ${FIGURES.join(', ')}
  --peers a,b      only these peers: ${PEERS.join(', ')}
  --sessions N     sessions of the storage figure (default 20)
  --sabotage       also with optimisations turned off: the numbers must worsen
  --tiny           a small guest: shows that the bench works, and nothing else
  --no-install     only print the command that installs missing system packages`;

const optionsSchema = z.object({
  command: z.enum(['machines', 'soak']),
  json: z.boolean().default(false),
  quick: z.boolean().default(false),
  sabotage: z.boolean().default(false),
  tiny: z.boolean().default(false),
  noInstall: z.boolean().default(false),
  pairs: z.coerce.number().int().min(1).max(1_000).optional(),
  cycles: z.coerce.number().int().min(1).max(100_000).default(30),
  sessions: z.coerce.number().int().min(1).max(100).default(20),
  only: z.array(z.enum(FIGURES)).optional(),
  peers: z.array(z.enum(PEERS)).default([...PEERS]),
});

export type Options = {
  command: 'machines' | 'soak';
  json: boolean;
  sabotage: boolean;
  tiny: boolean;
  noInstall: boolean;
  pairs: number;
  cycles: number;
  /** Of the storage figure. */
  sessions: number;
  figures: readonly FigureName[];
  peers: readonly (typeof PEERS)[number][];
};

const PAIRS = { quick: 3, usual: 8 } as const;
const QUICK_FIGURES: readonly FigureName[] = ['resume', 'fork'];

/** @throws with what is wrong, for people */
export function readOptions(argv: string[]): Options {
  const boolean = { type: 'boolean' } as const;
  const string = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      ...{ json: boolean, quick: boolean, sabotage: boolean, tiny: boolean, 'no-install': boolean },
      ...{ pairs: string, cycles: string, sessions: string, only: string, peers: string },
    },
  });
  const listOf = (text: string | undefined) => text?.split(',').filter((word) => word !== '');
  const parsed = optionsSchema.safeParse({
    ...values,
    command: positionals[0],
    noInstall: values['no-install'],
    only: listOf(values.only),
    peers: listOf(values.peers),
  });
  if (!parsed.success || positionals.length !== 1) {
    const why = parsed.error ? z.prettifyError(parsed.error) : 'give one command';
    throw new Error(`${why}\n\n${HELP}`);
  }
  const { quick, only, pairs, ...rest } = parsed.data;
  const figures = rest.command === 'soak' ? (['soak'] as const) : (only ?? (quick ? QUICK_FIGURES : FIGURES));
  return { ...rest, figures, pairs: pairs ?? (quick ? PAIRS.quick : PAIRS.usual) };
}
