import type { ReactNode } from 'react';
import { cn } from './cn.ts';

const TONES = {
  neutral: 'text-muted bg-sunken border-line',
  accent: 'text-accent bg-accent-soft border-transparent',
  good: 'text-good bg-good-soft border-transparent',
  warn: 'text-warn bg-warn-soft border-transparent',
  bad: 'text-bad bg-bad-soft border-transparent',
} as const;
export type Tone = keyof typeof TONES;

type Props = { tone?: Tone; children: ReactNode; className?: string; title?: string };

export function Badge({ tone = 'neutral', children, className, title }: Props) {
  return (
    <span
      title={title}
      className={cn(
        'inline-flex h-5 shrink-0 items-center gap-1 whitespace-nowrap rounded-full border px-2 text-2xs font-medium [&_svg]:size-3',
        TONES[tone],
        className,
      )}
    >
      {children}
    </span>
  );
}
