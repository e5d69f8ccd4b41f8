'use client';
import { Check, Copy } from 'lucide-react';
import { useRef, useState } from 'react';
import { IconButton } from './button.tsx';
import { cn } from './cn.ts';

/** Something to be pasted elsewhere, with a button that copies it. */
export function CommandBlock({ label, text, className }: { label: string; text: string; className?: string }) {
  const ref = useRef<HTMLPreElement>(null);
  const [copied, setCopied] = useState(false);

  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      // Browsers keep the clipboard from pages without TLS, and people may refuse it: it is selected for them instead.
      if (ref.current) window.getSelection()?.selectAllChildren(ref.current);
    }
  }

  return (
    <section aria-label={label} className={cn('flex items-start gap-1 rounded-md border bg-sunken', className)}>
      <pre
        ref={ref}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
        tabIndex={0}
        className="min-w-0 flex-1 overflow-x-auto px-3 py-2 font-mono text-xs leading-5"
      >
        {text}
      </pre>
      <IconButton label={copied ? 'Copied' : `Copy ${label}`} className="m-0.5" onClick={() => void copy()}>
        {copied ? <Check /> : <Copy />}
      </IconButton>
    </section>
  );
}
