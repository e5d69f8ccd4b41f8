'use client';
import { useEffect, useRef } from 'react';
import { stripAnsi } from './ansi.ts';
import { cn } from './cn.ts';

/** Output of a program. `follow` keeps its end in view while it grows. */
export function OutputBlock({ text, follow, className }: { text: string; follow?: boolean; className?: string }) {
  const ref = useRef<HTMLPreElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: scrolls when the text grows
  useEffect(() => {
    if (follow && ref.current) ref.current.scrollTop = ref.current.scrollHeight;
  }, [follow, text]);
  return (
    <pre
      ref={ref}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
      tabIndex={0}
      className={cn(
        'max-h-80 overflow-auto whitespace-pre-wrap break-words rounded-md border bg-sunken px-3 py-2 font-mono text-xs leading-[18px]',
        className,
      )}
    >
      {stripAnsi(text)}
    </pre>
  );
}
