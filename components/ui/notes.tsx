import { CircleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { cn } from './cn.ts';

/** The text of an error that is meant for people. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message === 'Failed to fetch') return 'Warren did not answer. Check your connection; nothing you typed is lost.';
  return error.message;
}

type ErrorProps = { error: unknown; title?: string; children?: ReactNode; className?: string };

/** Says what went wrong where the person is looking; `children` hold the next step. */
export function ErrorNote({ error, title, children, className }: ErrorProps) {
  return (
    <div role="alert" className={cn('flex gap-2 rounded-md bg-bad-soft px-3 py-2 text-sm', className)}>
      <CircleAlert className="mt-0.5 size-4 shrink-0 text-bad" aria-hidden />
      <div className="min-w-0">
        {title && <p className="font-medium">{title}</p>}
        <p className="whitespace-pre-wrap break-words">{messageOf(error)}</p>
        {children && <div className="mt-2 flex flex-wrap gap-2">{children}</div>}
      </div>
    </div>
  );
}

type EmptyProps = { icon?: ReactNode; title: string; children?: ReactNode; action?: ReactNode; className?: string };

/** Nothing here yet, and what to do about it. */
export function EmptyState({ icon, title, children, action, className }: EmptyProps) {
  return (
    <div className={cn('mx-auto flex max-w-md flex-col items-center gap-2 px-6 py-14 text-center', className)}>
      {icon && <div className="mb-1 text-faint [&_svg]:size-6">{icon}</div>}
      <h2 className="font-medium text-base">{title}</h2>
      {children && <div className="text-muted">{children}</div>}
      {action && <div className="mt-3 flex gap-2">{action}</div>}
    </div>
  );
}
