'use client';
import { ChevronRight } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { Badge } from '../ui/badge.tsx';
import { cn } from '../ui/cn.ts';
import { DiffLines, type LineReview } from './diff-lines.tsx';
import type { FileDiff } from './types.ts';

/** Larger files are folded at first, so that one generated file does not hide the others. */
const LINES_OPEN_MAX = 800;

type Props = { file: FileDiff; review?: LineReview; footer?: ReactNode };

export function DiffFile({ file, review, footer }: Props) {
  const count = file.hunks.reduce((sum, { lines }) => sum + lines.length, 0);
  const [isOpen, setOpen] = useState(count <= LINES_OPEN_MAX);
  return (
    <section aria-label={file.path} className="overflow-clip rounded-lg border bg-surface">
      <h3 className="sticky top-0 z-20 border-b bg-sunken">
        <button
          type="button"
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
          className="flex w-full items-center gap-2 px-2.5 py-1.5 text-left hover:bg-hover"
        >
          <ChevronRight aria-hidden className={cn('size-3.5 shrink-0 text-faint transition-transform', isOpen && 'rotate-90')} />
          <span className="min-w-0 flex-1 truncate font-mono text-xs" title={file.path}>
            {file.oldPath && file.oldPath !== file.path && <span className="text-faint">{file.oldPath} → </span>}
            {file.path}
          </span>
          {file.status !== 'modified' && <Badge>{file.status}</Badge>}
          <DiffCount additions={file.additions} deletions={file.deletions} />
        </button>
      </h3>
      {isOpen &&
        (emptyReason(file) ? (
          <p className="px-3 py-3 text-muted">{emptyReason(file)}</p>
        ) : (
          <DiffLines path={file.path} hunks={file.hunks} review={review} />
        ))}
      {footer}
    </section>
  );
}

function emptyReason(file: FileDiff): string | null {
  if (file.binary) return 'A binary file; its contents are not shown.';
  if (file.truncated) return 'This diff is too large to be shown here. Look at it in the session’s terminal or a clone.';
  if (file.hunks.length > 0) return null;
  return file.status === 'renamed' ? 'Renamed, contents unchanged.' : 'No lines changed.';
}

export function DiffCount({ additions, deletions }: { additions: number; deletions: number }) {
  return (
    <span className="shrink-0 font-mono text-2xs tabular-nums">
      <span className="text-good">
        <span className="sr-only">lines added: </span>+{additions}
      </span>{' '}
      <span className="text-bad">
        <span className="sr-only">lines removed: </span>−{deletions}
      </span>
    </span>
  );
}
