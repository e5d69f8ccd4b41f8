'use client';
import { type KeyboardEvent, type ReactNode, useEffect, useRef } from 'react';
import { cn } from './cn.ts';

export type Tab<T extends string> = { id: T; label: string; icon?: ReactNode; count?: number | string };

type Props<T extends string> = { tabs: readonly Tab<T>[]; value: T; onChange: (id: T) => void; label: string; bottom?: boolean };

/** Tabs by the ARIA pattern: one tab stop, arrow keys move. `bottom` is the bar at the foot of a narrow screen. */
export function Tabs<T extends string>({ tabs, value, onChange, label, bottom }: Props<T>) {
  const list = useRef<HTMLDivElement>(null);

  // On a narrow screen the one that an address asks for may lie beyond the edge.
  useEffect(() => {
    list.current?.querySelector(`[data-tab="${value}"]`)?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [value]);

  function move(event: KeyboardEvent) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = tabs.findIndex((tab) => tab.id === value);
    const next = tabs[(at + step + tabs.length) % tabs.length]!;
    onChange(next.id);
    list.current?.querySelector<HTMLElement>(`[data-tab="${next.id}"]`)?.focus();
  }

  return (
    <div
      ref={list}
      role="tablist"
      aria-label={label}
      onKeyDown={move}
      className={cn(
        'flex shrink-0',
        bottom ? 'border-t bg-surface pb-[env(safe-area-inset-bottom)]' : 'overflow-x-auto border-b px-1',
      )}
    >
      {tabs.map((tab) => (
        <button
          key={tab.id}
          type="button"
          role="tab"
          data-tab={tab.id}
          id={`tab-${tab.id}`}
          aria-selected={tab.id === value}
          aria-controls={`panel-${tab.id}`}
          tabIndex={tab.id === value ? 0 : -1}
          onClick={() => onChange(tab.id)}
          className={cn(
            'inline-flex items-center whitespace-nowrap text-muted transition-colors hover:text-ink focus-visible:-outline-offset-2 aria-selected:text-ink [&_svg]:size-3.5',
            bottom
              ? 'min-w-0 flex-1 flex-col justify-center gap-0.5 py-2 text-[10px] leading-3 aria-selected:text-accent [&_svg]:size-[18px]'
              : '-mb-px h-9 gap-1.5 border-transparent border-b-2 px-2.5 text-xs font-medium aria-selected:border-accent',
          )}
        >
          {tab.icon}
          <span className={cn(bottom && 'max-w-full truncate')}>{tab.label}</span>
          {!bottom && tab.count !== undefined && tab.count !== 0 && (
            <span className="rounded-full bg-hover px-1.5 text-2xs tabular-nums">{tab.count}</span>
          )}
        </button>
      ))}
    </div>
  );
}

/** The part a tab shows. */
export function TabPanel({ id, children, className }: { id: string; children: ReactNode; className?: string }) {
  return (
    <div role="tabpanel" id={`panel-${id}`} aria-labelledby={`tab-${id}`} className={cn('min-h-0 flex-1', className)}>
      {children}
    </div>
  );
}
