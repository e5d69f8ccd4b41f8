'use client';
import { Plus } from 'lucide-react';
import { Fragment, type KeyboardEvent, type ReactNode, useState } from 'react';
import { cn } from '../ui/cn.ts';
import type { DiffHunk, DiffLine } from './types.ts';

export type LineReview = {
  /** What stands below a line of the new side: threads and the form for a new one. */
  below: (line: number) => ReactNode;
  /** Null when the person may not comment here. */
  onComment: ((line: number) => void) | null;
};

type Props = { path: string; hunks: readonly DiffHunk[]; review?: LineReview };

const ROW = { context: '', add: 'bg-good-soft', del: 'bg-bad-soft' };
const SIGN = { context: ' ', add: '+', del: '−' };
const SIGN_COLOR = { context: 'text-faint', add: 'text-good', del: 'text-bad' };

/**
 * The changed lines of one file. With a review, each line of the new side has a button to comment on it: one tab stop for
 * the file, arrow keys move between its lines.
 */
export function DiffLines({ path, hunks, review }: Props) {
  const first = hunks.flatMap((hunk) => hunk.lines).find(({ newLine }) => newLine !== null)?.newLine ?? null;
  const [active, setActive] = useState<number | null>(null);

  function onKeyDown(event: KeyboardEvent<HTMLTableElement>) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !(event.target instanceof HTMLElement) || !event.target.dataset.line) return;
    event.preventDefault();
    const buttons = [...event.currentTarget.querySelectorAll<HTMLElement>('[data-line]')];
    buttons[buttons.indexOf(event.target) + step]?.focus();
  }

  return (
    <table
      onKeyDown={onKeyDown}
      aria-label={`Changes in ${path}`}
      className="w-full table-fixed border-collapse font-mono text-xs leading-[19px]"
    >
      <colgroup>
        <col className="w-9" />
        <col className="w-9" />
        <col />
      </colgroup>
      <tbody>
        {hunks.map((hunk, index) => (
          <Fragment key={`${hunk.oldStart}:${hunk.newStart}`}>
            {(index > 0 || hunk.newStart > 1) && (
              <tr>
                <td
                  colSpan={3}
                  className={cn('select-none border-b bg-sunken px-2 text-2xs text-faint', index > 0 && 'border-t')}
                >
                  {hunk.newStart > 0 ? `line ${hunk.newStart}` : '…'}
                </td>
              </tr>
            )}
            {hunk.lines.map((line) => (
              <Fragment key={`${line.oldLine}:${line.newLine}`}>
                <Row
                  line={line}
                  onComment={review?.onComment ?? null}
                  isTabStop={line.newLine !== null && line.newLine === (active ?? first)}
                  onFocus={setActive}
                />
                {line.newLine !== null && review && <Below>{review.below(line.newLine)}</Below>}
              </Fragment>
            ))}
          </Fragment>
        ))}
      </tbody>
    </table>
  );
}

type RowProps = {
  line: DiffLine;
  onComment: ((line: number) => void) | null;
  isTabStop: boolean;
  onFocus: (line: number) => void;
};

const GUTTER = 'select-none pr-1.5 text-right align-top text-2xs text-faint leading-[19px] tabular-nums';

function Row({ line, onComment, isTabStop, onFocus }: RowProps) {
  const { kind, text, oldLine, newLine } = line;
  return (
    <tr className={cn('group/line', ROW[kind])}>
      <td className={GUTTER}>{oldLine}</td>
      <td className={cn(GUTTER, 'relative')}>
        {newLine}
        {newLine !== null && onComment && (
          // All of the number can be pressed, which is what a finger needs; a pointer or the keyboard sees the plus.
          <button
            type="button"
            data-line={newLine}
            tabIndex={isTabStop ? 0 : -1}
            aria-label={`Comment on line ${newLine}`}
            onFocus={() => onFocus(newLine)}
            onClick={() => onComment(newLine)}
            className="group/comment absolute inset-0 outline-none"
          >
            <span className="absolute top-px right-0 hidden size-[18px] items-center justify-center rounded bg-accent-solid text-white shadow-sm group-focus-visible/comment:inline-flex [@media(hover:hover)]:group-hover/line:inline-flex">
              <Plus className="size-3.5" aria-hidden />
            </span>
          </button>
        )}
      </td>
      <td className="whitespace-pre-wrap py-0 pr-3 pl-1 align-top [overflow-wrap:anywhere]">
        <span aria-hidden className={cn('inline-block w-4 select-none', SIGN_COLOR[kind])}>
          {SIGN[kind]}
        </span>
        {kind !== 'context' && <span className="sr-only">{kind === 'add' ? 'added: ' : 'removed: '}</span>}
        {text}
      </td>
    </tr>
  );
}

function Below({ children }: { children: ReactNode }) {
  if (children === null) return null;
  return (
    <tr>
      <td colSpan={3} className="border-y bg-bg p-2 font-sans text-sm leading-5 md:pl-10">
        {children}
      </td>
    </tr>
  );
}
