import { CircleX, MessageSquareText } from 'lucide-react';
import type { TimelineEvent } from '../../../server/sessions/timeline.ts';
import { stripAnsi } from '../../ui/ansi.ts';
import { Badge } from '../../ui/badge.tsx';
import { cn } from '../../ui/cn.ts';
import { ClockTime } from '../../ui/time.tsx';

type Props = { event: Extract<TimelineEvent, { kind: 'message' }>; at: string; waiting: boolean };

const LABELS = { task: 'Task', message: null, check_failed: 'Check failed', review_comment: 'Review comment' } as const;
/** Longer messages are folded after this many lines. */
const LINES_SHOWN = 14;

/** What the agent was told: by a person, a check or a reviewer. */
export function MessageRow({ event, at, waiting }: Props) {
  const { messageKind, authorName } = event;
  const text = stripAnsi(event.text).trim();
  const lines = text.split('\n');
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
      {lines.length <= LINES_SHOWN ? (
        <Text text={text} isLog={messageKind === 'check_failed'} />
      ) : (
        <>
          <Text text={lines.slice(0, LINES_SHOWN - 4).join('\n')} isLog={messageKind === 'check_failed'} />
          <details>
            <summary className="mt-1 text-accent text-xs">{lines.length - LINES_SHOWN + 4} more lines</summary>
            <Text text={lines.slice(LINES_SHOWN - 4).join('\n')} isLog={messageKind === 'check_failed'} />
          </details>
        </>
      )}
    </article>
  );
}

function Text({ text, isLog }: { text: string; isLog: boolean }) {
  return <p className={cn('whitespace-pre-wrap break-words', isLog && 'font-mono text-xs leading-[18px]')}>{text}</p>;
}
