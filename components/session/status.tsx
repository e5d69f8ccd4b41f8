import { CircleCheck, CircleDashed, CircleX, HardDrive, Moon, MoonStar, Sunrise } from 'lucide-react';
import type { ReactNode } from 'react';
import type { Trouble } from '../../server/realtime/contract.ts';
import { type SessionStatus, STATUS_LABELS } from '../../server/sessions/status.ts';
import { Badge, type Tone } from '../ui/badge.tsx';
import { cn } from '../ui/cn.ts';
import { Spinner } from '../ui/spinner.tsx';

type Look = { tone: Tone; color: string; icon: ReactNode };

const dot = (
  <span aria-hidden className="flex size-3.5 items-center justify-center">
    <span className="size-2 animate-breathe rounded-full bg-current" />
  </span>
);

const LOOKS: Record<SessionStatus, Look> = {
  starting: { tone: 'neutral', color: 'text-muted', icon: <Spinner /> },
  working: { tone: 'good', color: 'text-good', icon: dot },
  ready: { tone: 'neutral', color: 'text-muted', icon: <CircleDashed /> },
  falling_asleep: { tone: 'accent', color: 'text-accent', icon: <MoonStar className="animate-breathe" /> },
  asleep: { tone: 'accent', color: 'text-accent', icon: <Moon /> },
  waking: { tone: 'accent', color: 'text-accent', icon: <Sunrise className="animate-breathe" /> },
  ending: { tone: 'neutral', color: 'text-muted', icon: <Spinner /> },
  ended: { tone: 'neutral', color: 'text-faint', icon: <CircleCheck /> },
  failed: { tone: 'bad', color: 'text-bad', icon: <CircleX /> },
};

export function StatusIcon({ status, className }: { status: SessionStatus; className?: string }) {
  return (
    <span
      role="img"
      aria-label={STATUS_LABELS[status]}
      title={STATUS_LABELS[status]}
      className={cn('inline-flex shrink-0 [&_svg]:size-3.5', LOOKS[status].color, className)}
    >
      {LOOKS[status].icon}
    </span>
  );
}

export function StatusBadge({ status, children }: { status: SessionStatus; children?: ReactNode }) {
  return (
    <Badge tone={LOOKS[status].tone}>
      {LOOKS[status].icon}
      {STATUS_LABELS[status]}
      {children}
    </Badge>
  );
}

export const TROUBLE_LABELS: Record<Trouble['what'], string> = {
  database_full: 'Waits for Warren’s database: its disk is full',
  database_away: 'Waits for Warren’s database: it does not answer',
};

/** In place of the status, which is what it was before nothing could be stored. */
export function TroubleBadge({ what }: { what: Trouble['what'] }) {
  return (
    <Badge tone="warn" className="h-auto min-h-5 shrink whitespace-normal">
      <HardDrive aria-hidden />
      {TROUBLE_LABELS[what]}
    </Badge>
  );
}

export const SCRIPTED_LABEL = 'scripted demo model';
export const SCRIPTED_HINT =
  'No model is configured, so a script plays the model. It reacts to real output, but it is not an AI.';

/** Wherever a session or a model shows that is a script. */
export function ScriptedBadge() {
  return <Badge title={SCRIPTED_HINT}>{SCRIPTED_LABEL}</Badge>;
}
