import { ShieldAlert } from 'lucide-react';

/** Shown on every page where the operator lets organizations share a host that does not keep them apart. */
export function WeakIsolationNote({ reasons }: { reasons: string[] }) {
  if (reasons.length === 0) return null;
  return (
    <details className="group shrink-0 border-b bg-warn-soft text-warn text-xs">
      <summary className="flex list-none items-start gap-1.5 px-3 py-1 focus-visible:-outline-offset-2">
        <ShieldAlert aria-hidden className="mt-px size-3.5 shrink-0" />
        {/* One line, and all of it once it is pressed. */}
        <span className="truncate group-open:whitespace-normal">
          For evaluation, not for code that you do not trust: {reasons.join('; ')}
        </span>
      </summary>
    </details>
  );
}
