'use client';
import {
  Ban,
  CircleAlert,
  CircleCheck,
  CircleX,
  GitCommitHorizontal,
  GitMerge,
  ListChecks,
  Moon,
  Square,
  Sunrise,
  TriangleAlert,
} from 'lucide-react';
import { memo, type ReactNode } from 'react';
import type { TimelineEvent, TimelineRow } from '../../../server/sessions/timeline.ts';
import { useOrg } from '../../layout/org-context.tsx';
import { cn } from '../../ui/cn.ts';
import { formatBytes, formatDuration, plural, shortSha } from '../../ui/format.ts';
import { Link } from '../../ui/link.tsx';
import { Markdown } from '../../ui/markdown.tsx';
import { ClockTime } from '../../ui/time.tsx';
import type { SessionView } from '../session-page.tsx';
import { WAKE_CAUSES } from '../wake-causes.ts';
import { MessageRow } from './message-row.tsx';
import { ToolCallRow } from './tool-call-row.tsx';

type Props = { row: TimelineRow; repositorySlug: string; queued: SessionView['queued'] };

/** One row of the timeline. Rows that did not change are not rendered again while the agent talks. */
export const EventRow = memo(
  function EventRow({ row, repositorySlug, queued }: Props) {
    const { event } = row;
    switch (event.kind) {
      case 'message':
        return <MessageRow event={event} at={row.at} waiting={stateOf(queued, event) === 'queued'} />;
      case 'agent_text':
        return event.thought ? <Thought text={event.text} /> : <Markdown text={event.text} className="text-sm" />;
      case 'tool_call':
        return <ToolCallRow event={event} />;
      case 'plan':
        return <Plan entries={event.entries} />;
      default:
        return <Fact event={event} at={row.at} repositorySlug={repositorySlug} />;
    }
  },
  (before, after) =>
    before.row === after.row && stateOf(before.queued, before.row.event) === stateOf(after.queued, after.row.event),
);

function stateOf(queued: Props['queued'], event: TimelineEvent) {
  return event.kind === 'message' ? (queued.find(({ id }) => id === event.messageId)?.state ?? null) : null;
}

function Thought({ text }: { text: string }) {
  return (
    <details className="text-xs">
      <summary className="text-faint hover:text-muted">Thought</summary>
      <Markdown text={text} className="mt-1 border-l-2 pl-3 text-muted" />
    </details>
  );
}

function Plan({ entries }: { entries: Extract<TimelineEvent, { kind: 'plan' }>['entries'] }) {
  const done = entries.filter(({ status }) => status === 'completed').length;
  return (
    <div className="rounded-lg border bg-surface px-3 py-2">
      <p className="flex items-center gap-2 font-medium text-xs">
        <ListChecks className="size-3.5 text-muted" aria-hidden /> Plan
        <span className="text-faint tabular-nums">
          {done} of {entries.length}
        </span>
      </p>
      <ol className="mt-1">
        {entries.map(({ content, status }) => (
          <li key={content} className={cn('flex gap-2 py-0.5', status === 'completed' && 'text-faint line-through')}>
            <span aria-hidden>{{ completed: '✓', in_progress: '▸', pending: '·' }[status]}</span>
            <span className="sr-only">{status.replace('_', ' ')}: </span>
            {content}
          </li>
        ))}
      </ol>
    </div>
  );
}

type FactEvent = Exclude<TimelineEvent, { kind: 'message' | 'agent_text' | 'tool_call' | 'plan' }>;

function Fact({ event, at, repositorySlug }: { event: FactEvent; at: string; repositorySlug: string }) {
  switch (event.kind) {
    case 'suspended':
      return (
        <Line icon={<Moon />} color="text-accent" at={at} rest>
          Asleep. Released in {formatDuration(event.releasedMs)}: {event.processGone ? 'QEMU gone' : 'QEMU still seen'},{' '}
          {plural(event.processes, 'process', 'processes')} in {formatBytes(event.storedBytes)} kept.
        </Line>
      );
    case 'woke':
      return (
        <Line icon={<Sunrise />} color="text-accent" at={at} rest>
          Awake in {formatDuration(event.latencyMs)}, because {WAKE_CAUSES[event.cause]}.{' '}
          {event.sameBootId ? 'Same boot' : 'Another boot'}, {event.sameAgentProcess ? 'same agent process' : 'new agent process'}
          .
        </Line>
      );
    case 'pushed':
      return (
        <Line icon={<GitCommitHorizontal />} at={at}>
          Pushed <code className="text-xs">{shortSha(event.commitSha)}</code> {event.subject} to{' '}
          <ChangeLink repositorySlug={repositorySlug} number={event.number} />
        </Line>
      );
    case 'check': {
      const look = {
        passed: { icon: <CircleCheck />, color: 'text-good', text: 'passed' },
        failed: { icon: <CircleX />, color: 'text-bad', text: 'failed' },
        errored: { icon: <TriangleAlert />, color: 'text-warn', text: 'could not be run' },
      }[event.state];
      return (
        <Line icon={look.icon} color={look.color} at={at}>
          Check <strong className="font-medium">{event.name}</strong> {look.text}
        </Line>
      );
    }
    case 'merged':
      return (
        <Line icon={<GitMerge />} color="text-accent" at={at}>
          {event.byName} merged <ChangeLink repositorySlug={repositorySlug} number={event.number} />
        </Line>
      );
    case 'error':
      return (
        <div role="alert" className="flex gap-2.5 rounded-lg bg-bad-soft px-3 py-2.5">
          <CircleAlert className="mt-0.5 size-4 shrink-0 text-bad" aria-hidden />
          <div className="min-w-0">
            <p className="font-medium">{event.title}</p>
            <p className="mt-0.5 whitespace-pre-wrap break-words text-muted">{event.detail}</p>
            {event.nextStep && <p className="mt-1.5">{event.nextStep}</p>}
          </div>
        </div>
      );
    case 'turn_ended':
      return (
        <Line icon={event.stopReason === 'cancelled' ? <Ban /> : <Square />} at={at}>
          {STOP_REASONS[event.stopReason] ?? `The turn ended: ${event.stopReason}`}
        </Line>
      );
    case 'transition':
      return (
        <Line icon={<Square />} at={at}>
          {event.to === 'stopped' ? 'Ended' : `Now ${event.to}`}: {event.reason}
        </Line>
      );
    case 'progress':
      return null;
  }
}

const STOP_REASONS: Record<string, string> = {
  cancelled: 'The turn was cancelled.',
  max_tokens: 'The turn ended: the model reached its token limit.',
  max_turn_requests: 'The turn ended: too many model calls in one turn.',
  refusal: 'The agent refused to go on.',
};

function ChangeLink({ repositorySlug, number }: { repositorySlug: string; number: number }) {
  const { org } = useOrg();
  return <Link href={`/${org.slug}/repositories/${repositorySlug}/changes/${number}`}>change #{number}</Link>;
}

type LineProps = { icon: ReactNode; color?: string; at: string; rest?: boolean; children: ReactNode };

/** A fact on one line. `rest` marks where the machine slept or woke, so that nights stand out in a long timeline. */
function Line({ icon, color = 'text-muted', at, rest, children }: LineProps) {
  return (
    <div className={cn('flex items-start gap-2 text-muted', rest && 'rounded-lg bg-accent-soft px-3 py-2 text-ink')}>
      <span aria-hidden className={cn('mt-[3px] shrink-0 [&_svg]:size-3.5', color)}>
        {icon}
      </span>
      <p className="min-w-0 flex-1 break-words">{children}</p>
      <ClockTime at={at} className={cn('mt-px shrink-0 text-2xs', rest ? 'text-muted' : 'text-faint')} />
    </div>
  );
}
