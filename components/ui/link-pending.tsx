'use client';
import { useLinkStatus } from 'next/link';
import { cn } from './cn.ts';
import { Spinner } from './spinner.tsx';

/** Inside a link: shows that its page is on the way. Late, so that quick pages do not flicker. */
export function LinkPending({ className }: { className?: string }) {
  const { pending } = useLinkStatus();
  if (!pending) return null;
  return (
    <span className={cn('shrink-0 animate-appear text-faint', className)}>
      <Spinner label="Loading" className="size-3" />
    </span>
  );
}
