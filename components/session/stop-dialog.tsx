import { ConfirmDialog } from '../ui/confirm-dialog.tsx';

type Props = {
  open: boolean;
  onClose: () => void;
  stop: { run: (onDone: () => void) => void; busy: boolean; error: unknown; forget: () => void };
  hasOpenChange: boolean;
};

export function StopDialog({ open, onClose, stop, hasOpenChange }: Props) {
  return (
    <ConfirmDialog
      open={open}
      onClose={() => {
        stop.forget();
        onClose();
      }}
      title="End this session?"
      confirm="End session"
      danger
      busy={stop.busy}
      error={stop.error}
      onConfirm={() => stop.run(onClose)}
    >
      <p>
        Its machine, its snapshots and its branch are removed, with everything in them that was not merged. The conversation
        stays.
      </p>
      {hasOpenChange && <p className="font-medium text-ink">Its change is not merged yet. To keep the work, merge it first.</p>}
    </ConfirmDialog>
  );
}
