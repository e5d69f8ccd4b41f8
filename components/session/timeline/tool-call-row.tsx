'use client';
import { BookOpen, ChevronRight, CircleCheck, CircleX, Globe, Pencil, Search, SquareTerminal, Wrench } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import type { TimelineEvent } from '../../../server/sessions/timeline.ts';
import { TextDiff } from '../../diff/text-diff.tsx';
import { cn } from '../../ui/cn.ts';
import { OutputBlock } from '../../ui/code-block.tsx';
import { Spinner } from '../../ui/spinner.tsx';

type ToolCall = Extract<TimelineEvent, { kind: 'tool_call' }>;

const KIND_ICONS: Record<string, ReactNode> = {
  read: <BookOpen />,
  edit: <Pencil />,
  delete: <Pencil />,
  move: <Pencil />,
  search: <Search />,
  execute: <SquareTerminal />,
  fetch: <Globe />,
};

const STATUS: Record<ToolCall['status'], { label: string; icon: ReactNode }> = {
  pending: { label: 'waiting', icon: <Spinner className="text-faint" /> },
  in_progress: { label: 'running', icon: <Spinner className="text-warn" /> },
  completed: { label: 'done', icon: <CircleCheck className="size-3.5 text-faint" /> },
  failed: { label: 'failed', icon: <CircleX className="size-3.5 text-bad" /> },
};

/** Longer titles are cut off in the row, so the whole of it shows when it is opened. */
const TITLE_CHARS_SHOWN = 60;

/** A command, edit or look-up by the agent. Folded once done; open while it runs and when it failed. */
export function ToolCallRow({ event }: { event: ToolCall }) {
  const [chosen, setChosen] = useState<boolean | null>(null);
  const isOpen = chosen ?? (event.status === 'in_progress' || event.status === 'failed' || event.diffs.length > 0);
  const input = event.input ?? event.title;
  const showsInput = input !== event.title || input.length > TITLE_CHARS_SHOWN;
  const hasBody = event.output !== '' || event.diffs.length > 0 || showsInput;
  const status = STATUS[event.status];
  return (
    <div className="overflow-hidden rounded-lg border bg-surface">
      <button
        type="button"
        aria-expanded={isOpen}
        disabled={!hasBody}
        onClick={() => setChosen(!isOpen)}
        className="flex w-full items-center gap-2 px-2.5 py-1.5 text-left hover:bg-hover disabled:hover:bg-transparent"
      >
        <ChevronRight
          aria-hidden
          className={cn('size-3.5 shrink-0 text-faint transition-transform', isOpen && 'rotate-90', !hasBody && 'invisible')}
        />
        <span aria-hidden className="shrink-0 text-muted [&_svg]:size-3.5">
          {KIND_ICONS[event.toolKind] ?? <Wrench />}
        </span>
        <span className="min-w-0 flex-1 truncate font-mono text-xs">{event.title}</span>
        <span role="img" aria-label={status.label} title={status.label} className="flex shrink-0">
          {status.icon}
        </span>
      </button>
      {isOpen && hasBody && (
        <div className="border-t">
          {showsInput && (
            <pre className="overflow-x-auto whitespace-pre-wrap break-words border-b bg-sunken px-3 py-1.5 font-mono text-muted text-xs last:border-b-0">
              {event.toolKind === 'execute' && <span className="select-none text-faint">$ </span>}
              {input}
            </pre>
          )}
          {event.diffs.map((diff) => (
            <TextDiff key={diff.path} {...diff} />
          ))}
          {event.output !== '' && (
            <OutputBlock text={event.output} follow={event.status !== 'completed'} className="max-h-72 rounded-none border-0" />
          )}
        </div>
      )}
    </div>
  );
}
