'use client';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { type ApiError, codeOf, useTRPC, useTRPCClient } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { monaco } from './monaco.ts';
import { hasUnsaved, keepFiles, keptFiles, type OpenFile } from './open-files-store.ts';

/** Files opened from one machine. Their text lives in Monaco's models, so it outlasts a look at another file or a sleep. */
export function useOpenFiles(sessionId: string) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const client = useTRPCClient();
  const queryClient = useQueryClient();
  const [open, setOpen] = useState(() => keptFiles(sessionId));
  const [opening, setOpening] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const write = useMutation(trpc.sessions.writeFile.mutationOptions());
  const { files } = open;

  const find = (path: string) => files.find((file) => file.path === path);
  const show = (path: string) => setOpen((now) => ({ ...now, current: path }));

  useEffect(() => keepFiles(sessionId, open), [sessionId, open]);

  useEffect(() => {
    const watched = files.map((file) =>
      file.model.onDidChangeContent(() => {
        if (hasUnsaved(file) !== file.isDirty) setOpen((now) => patch(now, file.path, { isDirty: hasUnsaved(file) }));
      }),
    );
    return () => {
      for (const watch of watched) watch.dispose();
    };
  }, [files]);

  async function openFile(path: string, { reload = false } = {}): Promise<void> {
    setError(null);
    if (!reload && find(path)) return show(path);
    setOpening(path);
    try {
      const read = await client.sessions.readFile.query({ org: org.slug, sessionId, path });
      const file = toOpenFile(sessionId, path, read);
      setOpen((now) => ({ files: [...now.files.filter((each) => each.path !== path), file], current: path }));
    } catch (cause) {
      setError(cause);
    }
    setOpening(null);
  }

  function close(path: string): void {
    find(path)?.model.dispose();
    const rest = files.filter((file) => file.path !== path);
    setOpen({ files: rest, current: open.current === path ? (rest.at(-1)?.path ?? null) : open.current });
  }

  async function save(path: string): Promise<void> {
    const file = find(path);
    // Asked of the model, as what was typed just now is not in the state yet.
    if (!file || !hasUnsaved(file) || write.isPending) return;
    setError(null);
    const savedVersion = file.model.getAlternativeVersionId();
    try {
      const input = { org: org.slug, sessionId, path, text: file.model.getValue(), expectedSha: file.sha256 };
      const { sha256 } = await write.mutateAsync(input);
      setOpen((now) => patch(now, path, { sha256, savedVersion, isDirty: hasUnsaved({ model: file.model, savedVersion }) }));
      void queryClient.invalidateQueries({ queryKey: trpc.sessions.worktree.queryKey({ org: org.slug, sessionId }) });
    } catch (cause) {
      setError(cause);
    }
  }

  return {
    files,
    current: files.find((file) => file.path === open.current) ?? null,
    opening,
    error,
    /** The machine has another version than the one that was edited. */
    isConflict: codeOf(error as ApiError | null) === 'conflict',
    isSaving: write.isPending,
    open: openFile,
    close,
    save,
    show,
  };
}

function patch<T extends { files: OpenFile[] }>(open: T, path: string, change: Partial<OpenFile>): T {
  return { ...open, files: open.files.map((file) => (file.path === path ? { ...file, ...change } : file)) };
}

type Read = { text: string; sha256: string; truncated: boolean; binary: boolean };

function toOpenFile(sessionId: string, path: string, { text, sha256, truncated, binary }: Read): OpenFile {
  const uri = monaco.Uri.from({ scheme: 'warren', authority: sessionId, path: `/${path}` });
  monaco.editor.getModel(uri)?.dispose();
  const model = monaco.editor.createModel(text, undefined, uri);
  const cut = truncated ? 'Only its first part fits here; edit it in the terminal.' : null;
  return {
    path,
    model,
    sha256,
    savedVersion: model.getAlternativeVersionId(),
    isDirty: false,
    readOnly: binary ? 'A binary file; it is not shown.' : cut,
  };
}
