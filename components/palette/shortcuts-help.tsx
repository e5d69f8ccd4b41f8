import { Dialog } from '../ui/dialog.tsx';
import { Kbd } from '../ui/kbd.tsx';

const GROUPS = [
  {
    title: 'Everywhere',
    keys: [
      [['Ctrl', 'K'], 'Search sessions, repositories and actions'],
      [['c'], 'New session'],
      [['g', 's'], 'Go to sessions'],
      [['g', 'r'], 'Go to repositories'],
      [['g', 't'], 'Go to settings'],
      [['?'], 'This list'],
    ],
  },
  {
    title: 'Session',
    keys: [
      [['Enter'], 'Send the message'],
      [['Shift', 'Enter'], 'New line'],
      [['Ctrl', 'S'], 'Save the open file'],
    ],
  },
  {
    title: 'Diff',
    keys: [
      [['↑', '↓'], 'Move between lines'],
      [['Enter'], 'Comment on the line'],
      [['Ctrl', 'Enter'], 'Send the comment'],
      [['Esc'], 'Close an empty comment'],
    ],
  },
] as const;

export function ShortcutsHelp({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Keyboard shortcuts">
      <div className="flex flex-col gap-4">
        {GROUPS.map((group) => (
          <section key={group.title}>
            <h3 className="mb-1.5 font-medium text-faint text-xs">{group.title}</h3>
            <dl className="flex flex-col gap-1.5">
              {group.keys.map(([keys, what]) => (
                <div key={what} className="flex items-center justify-between gap-4">
                  <dt>{what}</dt>
                  <dd className="flex gap-1">
                    {keys.map((key) => (
                      <Kbd key={key}>{key}</Kbd>
                    ))}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
