'use client';
import { FileCode, Save, X } from 'lucide-react';
import { useState } from 'react';
import { useCanWrite } from '../layout/org-context.tsx';
import { AsleepNotice } from '../session/asleep-notice.tsx';
import type { SessionView } from '../session/session-page.tsx';
import { Button, IconButton } from '../ui/button.tsx';
import { cn } from '../ui/cn.ts';
import { ConfirmDialog } from '../ui/confirm-dialog.tsx';
import { EmptyState, ErrorNote } from '../ui/notes.tsx';
import { useMediaQuery } from '../ui/use-media-query.ts';
import { CodeEditor } from './code-editor.tsx';
import { FileTree } from './file-tree.tsx';
import { useOpenFiles } from './use-open-files.ts';

/** The files of the live machine. What is open stays readable, and what is unsaved stays unsaved, while it sleeps. */
export function FilesPanel({ view }: { view: SessionView }) {
  const isAwake = view.session.state === 'running';
  const canWrite = useCanWrite();
  const open = useOpenFiles(view.session.id);
  const isNarrow = useMediaQuery('(max-width: 700px)', false);
  const [isTreeShown, setTreeShown] = useState(true);
  const [closing, setClosing] = useState<string | null>(null);
  const { current } = open;

  if (!isAwake && open.files.length === 0) {
    return <AsleepNotice view={view} what="Its files can be opened and edited once it is awake." />;
  }

  function requestClose(path: string) {
    if (open.files.find((file) => file.path === path)?.isDirty) setClosing(path);
    else open.close(path);
  }

  const showsTree = isAwake && (!isNarrow || isTreeShown || !current);
  const showsEditor = !isNarrow || !showsTree;
  return (
    <div className="flex min-h-0 flex-1">
      {showsTree && (
        <div className={cn('shrink-0 border-r bg-bg', isNarrow ? 'w-full' : 'w-48')}>
          <FileTree
            sessionId={view.session.id}
            current={current?.path ?? null}
            opening={open.opening}
            onOpen={(path) => {
              setTreeShown(false);
              void open.open(path);
            }}
          />
        </div>
      )}
      {showsEditor && (
        <div className="flex min-w-0 flex-1 flex-col">
          <div className="flex h-9 shrink-0 items-center gap-1 overflow-x-auto border-b px-1">
            {isNarrow && isAwake && (
              <Button size="sm" variant="ghost" onClick={() => setTreeShown(true)}>
                Files
              </Button>
            )}
            {open.files.map((file) => (
              <FileTab
                key={file.path}
                path={file.path}
                isDirty={file.isDirty}
                isCurrent={file === current}
                onShow={() => open.show(file.path)}
                onClose={() => requestClose(file.path)}
              />
            ))}
            {current && canWrite && (
              <Button
                size="sm"
                className="ml-auto"
                disabled={!current.isDirty || !isAwake || current.readOnly !== null}
                busy={open.isSaving}
                onClick={() => void open.save(current.path)}
              >
                <Save aria-hidden /> Save
              </Button>
            )}
          </div>
          {open.error != null && (
            <ErrorNote error={open.error} className="m-2">
              {open.isConflict && current && (
                <Button size="sm" onClick={() => void open.open(current.path, { reload: true })}>
                  Drop my edit and load the machine’s
                </Button>
              )}
            </ErrorNote>
          )}
          {!isAwake && (
            <p role="status" className="border-b bg-accent-soft px-3 py-1.5 text-xs">
              The machine is not running. Nothing here is lost; saving needs it awake.
            </p>
          )}
          {current?.readOnly && <p className="border-b bg-warn-soft px-3 py-1.5 text-xs">{current.readOnly}</p>}
          {current ? (
            <CodeEditor
              model={current.model}
              readOnly={!canWrite || current.readOnly !== null}
              onSave={() => void open.save(current.path)}
            />
          ) : (
            <EmptyState icon={<FileCode />} title="No file open">
              You and the agent edit the same files.
            </EmptyState>
          )}
        </div>
      )}
      <ConfirmDialog
        open={closing !== null}
        onClose={() => setClosing(null)}
        title="Close without saving?"
        confirm="Close without saving"
        danger
        onConfirm={() => {
          if (closing) open.close(closing);
          setClosing(null);
        }}
      >
        <p>
          Your edit of <code className="text-xs">{closing}</code> is not in the machine yet.
        </p>
      </ConfirmDialog>
    </div>
  );
}

type TabProps = { path: string; isDirty: boolean; isCurrent: boolean; onShow: () => void; onClose: () => void };

function FileTab({ path, isDirty, isCurrent, onShow, onClose }: TabProps) {
  const name = path.split('/').at(-1)!;
  return (
    <span className={cn('flex shrink-0 items-center rounded-md pr-0.5 pl-2 text-xs', isCurrent ? 'bg-hover' : 'text-muted')}>
      <button type="button" title={path} aria-pressed={isCurrent} onClick={onShow} className="h-7">
        {name}
        {isDirty && (
          <span
            role="img"
            aria-label="unsaved"
            title="unsaved"
            className="ml-1.5 inline-block size-1.5 rounded-full bg-accent align-middle"
          />
        )}
      </button>
      <IconButton label={`Close ${name}`} size="sm" onClick={onClose} className="!size-5">
        <X className="!size-3" />
      </IconButton>
    </span>
  );
}
