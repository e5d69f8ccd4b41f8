import type { ReactNode } from 'react';

/** The head of a page that scrolls: its title and what can be done. */
export function PageHeader({ title, children }: { title: ReactNode; children?: ReactNode }) {
  return (
    <header className="flex min-h-12 flex-wrap items-center gap-3 border-b px-4 py-2 md:px-6">
      <h1 className="min-w-0 flex-1 truncate font-semibold text-lg tracking-tight">{title}</h1>
      {children}
    </header>
  );
}
