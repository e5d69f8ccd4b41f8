'use client';
import { X } from 'lucide-react';
import { type ReactNode, useEffect, useId, useRef } from 'react';
import { IconButton } from './button.tsx';
import { cn } from './cn.ts';

type Props = {
  open: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  className?: string;
  /** For forms whose fields stand side by side. */
  wide?: boolean;
  /** The title is read out, not shown. */
  hideTitle?: boolean;
};

/** The browser's own modal dialog: it traps focus, closes on Escape and gives focus back to what had it. */
export function Dialog({ open, onClose, title, children, className, wide, hideTitle }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  // A click ends where the pointer is let go: text selected to beyond the edge must not close the dialog it was typed into.
  const pressedBeside = useRef(false);

  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a click beside the dialog closes it; Escape does the same, natively
    <dialog
      ref={ref}
      aria-labelledby={titleId}
      onClose={onClose}
      onPointerDown={(event) => {
        pressedBeside.current = event.target === ref.current;
      }}
      onClick={(event) => event.target === ref.current && pressedBeside.current && onClose()}
      className={cn(
        'm-auto rounded-xl border border-line bg-surface p-0 text-ink shadow-2xl',
        wide ? 'w-[min(36rem,calc(100vw-2rem))]' : 'w-[min(30rem,calc(100vw-2rem))]',
        className,
      )}
    >
      {open && (
        <div className={cn(!hideTitle && 'relative p-5')}>
          <h2 id={titleId} className={cn(hideTitle ? 'sr-only' : 'mb-3 pr-8 font-semibold text-lg')}>
            {title}
          </h2>
          {children}
          {/* Last, as the browser gives focus to what comes first: a field, or the button that does nothing. */}
          {!hideTitle && (
            <IconButton label="Close" size="sm" onClick={onClose} className="absolute top-5 right-5">
              <X />
            </IconButton>
          )}
        </div>
      )}
    </dialog>
  );
}
