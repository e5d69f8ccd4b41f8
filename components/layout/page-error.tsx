'use client';
import { useRouter } from 'next/navigation';
import { startTransition, useCallback, useEffect } from 'react';
import { Button } from '../ui/button.tsx';
import { ErrorNote } from '../ui/notes.tsx';
import { useDatabaseAway } from './use-database-away.ts';

/** A page that could not be rendered. In production the server tells only a digest, which its log has too. */
export function PageError({ error, reset }: { error: Error & { digest?: string }; reset: () => void }) {
  const router = useRouter();
  const again = useCallback(
    () =>
      startTransition(() => {
        router.refresh();
        reset();
      }),
    [router, reset],
  );
  const isAway = useDatabaseAway();
  useEffect(() => {
    if (isAway === 'back') again();
  }, [isAway, again]);
  const reference = error.digest ? ` Reference for your administrator: ${error.digest}.` : '';
  return (
    <div className="mx-auto max-w-lg px-6 py-20">
      {isAway === 'away' ? (
        <ErrorNote
          title="Warren’s database does not answer at the moment."
          error={`What was stored is safe. This page comes back by itself once the database does; if it stays away, whoever runs Warren finds the cause where Warren was started.${reference}`}
        >
          <Button onClick={again}>Try again</Button>
        </ErrorNote>
      ) : (
        <ErrorNote title="This page could not be shown." error={`Nothing stored is lost.${reference}`}>
          <Button onClick={again}>Try again</Button>
        </ErrorNote>
      )}
    </div>
  );
}
