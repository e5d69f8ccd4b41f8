import { GitMerge, GitPullRequest, GitPullRequestClosed } from 'lucide-react';
import { Badge } from '../ui/badge.tsx';
import { CheckSummaryIcon } from './check-state.tsx';

type Props = { number: number; state: 'open' | 'merged' | 'closed'; checks?: { name: string; state: CheckState }[] };
export type CheckState = 'queued' | 'running' | 'passed' | 'failed' | 'errored' | 'superseded';

const STATES = {
  open: { tone: 'good', icon: <GitPullRequest aria-hidden />, label: 'open' },
  merged: { tone: 'accent', icon: <GitMerge aria-hidden />, label: 'merged' },
  closed: { tone: 'neutral', icon: <GitPullRequestClosed aria-hidden />, label: 'closed' },
} as const;

export function ChangeBadge({ number, state, checks = [] }: Props) {
  const { tone, icon, label } = STATES[state];
  return (
    <span className="flex items-center gap-1.5">
      {state === 'open' && <CheckSummaryIcon checks={checks} />}
      <Badge tone={tone} title={`Change ${number}, ${label}`}>
        {icon}
        <span className="tabular-nums">#{number}</span>
        <span className="hidden sm:inline">{label}</span>
      </Badge>
    </span>
  );
}
