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
  /** The title is read out, not shown. */
  hideTitle?: boolean;
};

/** The browser's own modal dialog: it traps focus, closes on Escape and gives focus back to what had it. */
export function Dialog({ open, onClose, title, children, className, hideTitle }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();

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
      onClick={(event) => event.target === ref.current && onClose()}
      className={cn(
        'm-auto w-[min(30rem,calc(100vw-2rem))] rounded-xl border border-line bg-surface p-0 text-ink shadow-2xl',
        className,
      )}
    >
      {open && (
        <div className={cn(!hideTitle && 'p-5')}>
          <div className={cn('mb-3 flex items-center justify-between', hideTitle && 'sr-only')}>
            <h2 id={titleId} className="font-semibold text-lg">
              {title}
            </h2>
            {!hideTitle && (
              <IconButton label="Close" size="sm" onClick={onClose}>
                <X />
              </IconButton>
            )}
          </div>
          {children}
        </div>
      )}
    </dialog>
  );
}
