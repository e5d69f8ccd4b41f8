import { Button } from '../ui/button.tsx';
import { Spinner } from '../ui/spinner.tsx';

/** How it stands with a screen of the machine that is shown live: a terminal, the desktop. */
export type LiveState = { kind: 'opening' } | { kind: 'open' } | { kind: 'ended'; message: string };

type Props = { state: LiveState; opening: string; onReopen: () => void };

/** Below such a screen while it is not open: what is being waited for, or why it ended and how to get it back. */
export function LiveStateBar({ state, opening, onReopen }: Props) {
  if (state.kind === 'open') return null;
  return (
    <div role="status" className="flex items-center gap-3 border-t px-3 py-2 text-muted text-xs">
      {state.kind === 'opening' ? (
        <>
          <Spinner /> {opening}…
        </>
      ) : (
        <>
          <span className="min-w-0 flex-1">{state.message}</span>
          <Button size="sm" onClick={onReopen}>
            Open again
          </Button>
        </>
      )}
    </div>
  );
}
