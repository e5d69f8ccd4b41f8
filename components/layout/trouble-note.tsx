'use client';
import { HardDrive } from 'lucide-react';
import { useTroubles } from '../realtime/realtime-provider.tsx';
import { worstOf } from '../realtime/troubles.ts';

const TEXTS = {
  database_full:
    'Nothing can be stored: the disk of Warren’s database is full. Whoever runs Warren has to free space; sessions then go on by themselves.',
  database_away: 'Nothing can be stored: Warren’s database does not answer. Sessions go on by themselves once it does.',
} as const;

/** Shown on every page while sessions wait for the database. What announces it is there before there is anything to announce. */
export function TroubleNote() {
  const what = worstOf(useTroubles());
  return (
    <div role="status" className="shrink-0">
      {what && (
        <p className="flex items-start gap-1.5 border-b bg-warn-soft px-3 py-1 text-warn text-xs">
          <HardDrive aria-hidden className="mt-px size-3.5 shrink-0" />
          {TEXTS[what]}
        </p>
      )}
    </div>
  );
}
