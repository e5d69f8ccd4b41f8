'use client';
import Link from 'next/link';
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { cn } from './cn.ts';

type Item = { label: string; icon?: ReactNode; danger?: boolean; disabled?: boolean } & (
  | { href: string; onSelect?: never }
  | { onSelect: () => void; href?: never }
);

type Props = {
  label: string;
  trigger: ReactNode;
  items: readonly Item[];
  align?: 'start' | 'end';
  up?: boolean;
  /** Of the box around button and list. */
  boxClassName?: string;
  className?: string;
};

const ITEM =
  'flex w-full items-center gap-2 rounded px-2 py-1.5 text-left text-sm hover:bg-hover focus:bg-hover focus:outline-none disabled:opacity-50 [&_svg]:size-3.5 [&_svg]:text-muted';

/** A button that opens a short list of actions or links; arrow keys, Escape and a click elsewhere work. */
export function Menu({ label, trigger, items, align = 'end', up, className, boxClassName }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const menuId = useId();

  useEffect(() => {
    if (!open) return;
    root.current?.querySelector<HTMLElement>('[role="menuitem"]:not(:disabled)')?.focus();
    const onPointerDown = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', onPointerDown);
    return () => document.removeEventListener('pointerdown', onPointerDown);
  }, [open]);

  function onKeyDown(event: KeyboardEvent) {
    if (!open) return;
    if (event.key === 'Escape' || event.key === 'Tab') {
      setOpen(false);
      if (event.key === 'Escape') root.current?.querySelector<HTMLElement>('[aria-haspopup]')?.focus();
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const entries = [...(root.current?.querySelectorAll<HTMLElement>('[role="menuitem"]:not(:disabled)') ?? [])];
    const at = entries.indexOf(document.activeElement as HTMLElement);
    entries[(at + step + entries.length) % entries.length]?.focus();
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys pressed inside the menu bubble up to here
    <div ref={root} className={cn('relative', boxClassName)} onKeyDown={onKeyDown}>
      <button
        type="button"
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={menuId}
        onClick={() => setOpen(!open)}
        className={cn('inline-flex items-center rounded-md', className)}
      >
        {trigger}
      </button>
      {open && (
        <div
          id={menuId}
          role="menu"
          aria-label={label}
          className={cn(
            'absolute z-30 min-w-44 max-w-72 rounded-lg border border-line bg-surface p-1 shadow-lg',
            up ? 'bottom-full mb-1' : 'top-full mt-1',
            align === 'end' ? 'right-0' : 'left-0',
          )}
        >
          {items.map((item) =>
            item.href !== undefined ? (
              <Link
                key={item.href}
                role="menuitem"
                tabIndex={-1}
                href={item.href}
                className={ITEM}
                onClick={() => setOpen(false)}
              >
                {item.icon}
                <span className="truncate">{item.label}</span>
              </Link>
            ) : (
              <button
                key={item.label}
                type="button"
                role="menuitem"
                tabIndex={-1}
                disabled={item.disabled}
                className={cn(ITEM, item.danger && 'text-bad [&_svg]:text-bad')}
                onClick={() => {
                  setOpen(false);
                  item.onSelect();
                }}
              >
                {item.icon}
                <span className="truncate">{item.label}</span>
              </button>
            ),
          )}
        </div>
      )}
    </div>
  );
}
