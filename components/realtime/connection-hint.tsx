'use client';
import { WifiOff } from 'lucide-react';
import { useEffect, useState } from 'react';
import { cn } from '../ui/cn.ts';
import { useRealtime } from './realtime-provider.tsx';

/** A page that has just been opened is not worth a hint. */
const PATIENCE_MS = 2_000;

/** Says when the page is not told of changes as they happen; it then asks every few seconds. */
export function ConnectionHint({ className }: { className?: string }) {
  const { connection } = useRealtime();
  const [late, setLate] = useState(false);
  const isDown = connection !== 'live';
  useEffect(() => {
    if (!isDown) return setLate(false);
    const timer = setTimeout(() => setLate(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [isDown]);

  return (
    <div role="status" className={cn('text-xs', className)}>
      {isDown && late && (
        <span
          className="inline-flex items-center gap-1.5 rounded-full bg-warn-soft px-2 py-0.5 text-warn"
          title="Live updates are interrupted. The page asks for news every few seconds meanwhile."
        >
          <WifiOff className="size-3" aria-hidden /> Reconnecting…
        </span>
      )}
    </div>
  );
}
