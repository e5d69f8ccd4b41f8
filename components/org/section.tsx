import type { ReactNode } from 'react';

/** Rows of facts under a heading. */
export function Section({ title, hint, children }: { title: string; hint?: string; children: ReactNode }) {
  return (
    <section aria-label={title} className="mb-8">
      <h2 className="font-semibold text-base">{title}</h2>
      {hint && <p className="mb-3 max-w-prose text-muted">{hint}</p>}
      {children}
    </section>
  );
}
