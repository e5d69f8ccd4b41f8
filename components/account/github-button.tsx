'use client';
import { signIn } from 'next-auth/react';
import { useState } from 'react';
import { Button } from '../ui/button.tsx';

export function GitHubButton({ next }: { next: string }) {
  const [busy, setBusy] = useState(false);
  return (
    <>
      <div className="my-5 flex items-center gap-3 text-faint text-xs before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">
        or
      </div>
      <Button
        size="lg"
        className="w-full"
        busy={busy}
        onClick={() => {
          setBusy(true);
          void signIn('github', { callbackUrl: next });
        }}
      >
        Continue with GitHub
      </Button>
    </>
  );
}
