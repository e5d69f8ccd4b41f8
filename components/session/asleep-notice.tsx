'use client';
import { Moon, Sunrise } from 'lucide-react';
import { useCanWrite } from '../layout/org-context.tsx';
import { Button } from '../ui/button.tsx';
import { EmptyState } from '../ui/notes.tsx';
import { Loading } from '../ui/spinner.tsx';
import type { SessionView } from './session-page.tsx';
import { useSessionActions } from './use-session-actions.ts';

/** In place of what needs a running machine: why it is not there, and how to get it. */
export function AsleepNotice({ view, what }: { view: SessionView; what: string }) {
  const { status } = view;
  const { wake, retry } = useSessionActions(view.session.id);
  const canWrite = useCanWrite();
  if (status === 'waking') return <Loading label="Waking the machine" className="justify-center py-14" />;
  if (status === 'starting') return <Loading label="Waiting for the machine to start" className="justify-center py-14" />;
  if (status === 'falling_asleep') return <Loading label="The machine is falling asleep" className="justify-center py-14" />;
  if (status === 'ended' || status === 'ending') {
    return <EmptyState title="The session has ended">Its machine is gone. What it pushed is in its change.</EmptyState>;
  }
  if (status === 'failed') {
    return (
      <EmptyState
        title="The machine is not running"
        action={
          canWrite && (
            <Button onClick={retry.run} busy={retry.busy}>
              Retry
            </Button>
          )
        }
      >
        The session failed; the timeline says why.
      </EmptyState>
    );
  }
  return (
    <EmptyState
      icon={<Moon />}
      title="The machine is asleep"
      action={
        canWrite && (
          <Button onClick={wake.run} busy={wake.busy}>
            <Sunrise aria-hidden /> Wake it
          </Button>
        )
      }
    >
      {what} Diff, conversation and change can be read without waking it.
    </EmptyState>
  );
}
