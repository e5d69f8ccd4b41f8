import { CircleCheck, CircleDashed, CircleSlash, CircleX, TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { cn } from '../ui/cn.ts';
import { Spinner } from '../ui/spinner.tsx';
import type { CheckState } from './change-badge.tsx';

const LOOKS: Record<CheckState, { label: string; color: string; icon: ReactNode }> = {
  queued: { label: 'waiting', color: 'text-faint', icon: <CircleDashed aria-hidden /> },
  running: { label: 'running', color: 'text-warn', icon: <Spinner /> },
  passed: { label: 'passed', color: 'text-good', icon: <CircleCheck aria-hidden /> },
  failed: { label: 'failed', color: 'text-bad', icon: <CircleX aria-hidden /> },
  errored: { label: 'could not be run', color: 'text-warn', icon: <TriangleAlert aria-hidden /> },
  superseded: { label: 'replaced by a newer commit', color: 'text-faint', icon: <CircleSlash aria-hidden /> },
};

export function checkLabel(state: CheckState): string {
  return LOOKS[state].label;
}

export function CheckIcon({ state, label }: { state: CheckState; label?: string }) {
  const look = LOOKS[state];
  const text = label ?? look.label;
  return (
    <span role="img" aria-label={text} title={text} className={cn('inline-flex shrink-0 [&_svg]:size-3.5', look.color)}>
      {look.icon}
    </span>
  );
}

/** All checks of a commit as one: the worst of them, and which they are as its hint. */
export function CheckSummaryIcon({ checks }: { checks: { name: string; state: CheckState }[] }) {
  const order = ['failed', 'errored', 'running', 'queued', 'passed'] as const;
  const state = order.find((each) => checks.some((check) => check.state === each));
  if (!state) return null;
  const label = checks.map((check) => `${check.name}: ${checkLabel(check.state)}`).join(', ');
  return <CheckIcon state={state} label={label} />;
}
