'use client';
import { useRouter } from 'next/navigation';
import { startTransition } from 'react';
import { Button } from '../ui/button.tsx';
import { ErrorNote } from '../ui/notes.tsx';

/** A page that could not be rendered. In production the server tells only a digest, which its log has too. */
export function PageError({ error, reset }: { error: Error & { digest?: string }; reset: () => void }) {
  const router = useRouter();
  const reference = error.digest ? ` Reference for your administrator: ${error.digest}.` : '';
  return (
    <div className="mx-auto max-w-lg px-6 py-20">
      <ErrorNote title="This page could not be shown." error={`Nothing stored is lost.${reference}`}>
        <Button
          onClick={() =>
            startTransition(() => {
              router.refresh();
              reset();
            })
          }
        >
          Try again
        </Button>
      </ErrorNote>
    </div>
  );
}
