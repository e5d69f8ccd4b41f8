import { CircleX, MessageSquareText } from 'lucide-react';
import type { TimelineEvent } from '../../../server/sessions/timeline.ts';
import { stripAnsi } from '../../ui/ansi.ts';
import { Badge } from '../../ui/badge.tsx';
import { cn } from '../../ui/cn.ts';
import { OutputBlock } from '../../ui/code-block.tsx';
import { ClockTime } from '../../ui/time.tsx';
import { splitMessage } from './split-message.ts';

type Props = { event: Extract<TimelineEvent, { kind: 'message' }>; at: string; waiting: boolean };

const LABELS = { task: 'Task', message: null, check_failed: 'Check failed', review_comment: 'Review comment' } as const;
/** Longer messages are folded after this many lines. */
const LINES_SHOWN = 14;

/** What the agent was told: by a person, a check or a reviewer. */
export function MessageRow({ event, at, waiting }: Props) {
  const { messageKind, authorName } = event;
  const { summary, quoted, whole } = splitMessage(messageKind, stripAnsi(event.text).trim());
  const label = LABELS[messageKind];
  return (
    <article className={cn('rounded-lg border bg-surface px-3 py-2', waiting && 'border-dashed')}>
      <header className="mb-1 flex items-center gap-2 text-xs">
        <strong className="font-medium">{authorName ?? 'Warren'}</strong>
        {label && (
          <Badge tone={messageKind === 'check_failed' ? 'bad' : 'neutral'}>
            {messageKind === 'check_failed' && <CircleX aria-hidden />}
            {messageKind === 'review_comment' && <MessageSquareText aria-hidden />}
            {label}
          </Badge>
        )}
        {waiting && <Badge tone="warn">waiting for the agent</Badge>}
        <ClockTime at={at} className="ml-auto text-2xs text-faint" />
      </header>
      {quoted === null ? <Folded text={summary} /> : <p className="text-muted text-xs">{summary}</p>}
      {quoted !== null && <Folded text={quoted} />}
      {whole !== null && (
        <details className="mt-1 text-xs">
          <summary className="text-faint hover:text-muted">What the agent was told</summary>
          <OutputBlock text={whole} className="mt-1.5" />
        </details>
      )}
    </article>
  );
}

function Folded({ text }: { text: string }) {
  const lines = text.split('\n');
  if (lines.length <= LINES_SHOWN) return <Text>{text}</Text>;
  const shown = LINES_SHOWN - 4;
  return (
    <>
      <Text>{lines.slice(0, shown).join('\n')}</Text>
      <details>
        <summary className="mt-1 text-accent text-xs">{lines.length - shown} more lines</summary>
        <Text>{lines.slice(shown).join('\n')}</Text>
      </details>
    </>
  );
}

function Text({ children }: { children: string }) {
  return <p className="whitespace-pre-wrap break-words">{children}</p>;
}
