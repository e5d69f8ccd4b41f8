import { ShieldAlert } from 'lucide-react';

/** Shown on every page where the operator lets organizations share a host that does not keep them apart. */
export function WeakIsolationNote({ reasons }: { reasons: string[] }) {
  if (reasons.length === 0) return null;
  const why = reasons.join('; ');
  return (
    <p role="note" title={why} className="flex shrink-0 items-center gap-1.5 border-b bg-warn-soft px-3 py-1 text-warn text-xs">
      <ShieldAlert aria-hidden className="size-3.5 shrink-0" />
      <span className="truncate">For evaluation, not for code that you do not trust: {why}</span>
    </p>
  );
}
