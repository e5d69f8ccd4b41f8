import { ButtonLink } from '../ui/button.tsx';

/** The same words for what does not exist and for what belongs to others: which, is not told. */
export function NotFoundNote() {
  return (
    <div className="mx-auto flex min-h-[60dvh] max-w-md flex-col items-center justify-center gap-2 px-6 text-center">
      <title>Not found · Warren</title>
      <p className="font-mono text-faint text-xs">404</p>
      <h1 className="font-semibold text-xl tracking-tight">Not found</h1>
      <p className="text-muted">This page does not exist, or you have no access to it.</p>
      <ButtonLink href="/" className="mt-4">
        Go to the start
      </ButtonLink>
    </div>
  );
}
