'use client';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { type ApiError, codeOf, useTRPC, useTRPCClient } from '../api/trpc.ts';
import { useOrg } from '../layout/org-context.tsx';
import { monaco } from './monaco.ts';

export type OpenFile = {
  path: string;
  model: monaco.editor.ITextModel;
  /** What the machine has: saving compares it, so that nobody's edit is overwritten unseen. */
  sha256: string;
  savedVersion: number;
  isDirty: boolean;
  /** Why it can be read only, or null. */
  readOnly: string | null;
};

/** Files opened from one machine. Their text lives in Monaco's models, so it outlasts a look at another file or a sleep. */
export function useOpenFiles(sessionId: string) {
  const { org } = useOrg();
  const trpc = useTRPC();
  const client = useTRPCClient();
  const queryClient = useQueryClient();
  const [files, setFiles] = useState<OpenFile[]>([]);
  const [current, setCurrent] = useState<string | null>(null);
  const [opening, setOpening] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const all = useRef(files);
  all.current = files;

  const patch = (path: string, change: Partial<OpenFile>) =>
    setFiles((now) => now.map((file) => (file.path === path ? { ...file, ...change } : file)));

  useEffect(() => {
    // React's strict mode runs this twice on one set of models; only leaving the page ends them.
    const warn = (event: BeforeUnloadEvent) => {
      if (all.current.some((file) => file.isDirty)) event.preventDefault();
    };
    window.addEventListener('beforeunload', warn);
    return () => window.removeEventListener('beforeunload', warn);
  }, []);

  function add(path: string, read: { text: string; sha256: string; truncated: boolean; binary: boolean }): void {
    const uri = monaco.Uri.from({ scheme: 'warren', authority: sessionId, path: `/${path}` });
    monaco.editor.getModel(uri)?.dispose();
    const model = monaco.editor.createModel(read.text, undefined, uri);
    const readOnly = read.binary
      ? 'A binary file; it is not shown.'
      : read.truncated
        ? 'Only its first part fits here; edit it in the terminal.'
        : null;
    const file = { path, model, sha256: read.sha256, savedVersion: model.getAlternativeVersionId(), isDirty: false, readOnly };
    model.onDidChangeContent(() => {
      const now = all.current.find((each) => each.path === path);
      const isDirty = model.getAlternativeVersionId() !== now?.savedVersion;
      if (now && now.isDirty !== isDirty) patch(path, { isDirty });
    });
    setFiles((now) => [...now.filter((each) => each.path !== path), file]);
  }

  async function open(path: string, { reload = false } = {}): Promise<void> {
    setError(null);
    if (!reload && all.current.some((file) => file.path === path)) return setCurrent(path);
    setOpening(path);
    try {
      add(path, await client.sessions.readFile.query({ org: org.slug, sessionId, path }));
      setCurrent(path);
    } catch (cause) {
      setError(cause);
    }
    setOpening(null);
  }

  function close(path: string): void {
    all.current.find((file) => file.path === path)?.model.dispose();
    const rest = all.current.filter((file) => file.path !== path);
    setFiles(rest);
    if (current === path) setCurrent(rest.at(-1)?.path ?? null);
  }

  const write = useMutation(trpc.sessions.writeFile.mutationOptions());

  async function save(path: string): Promise<void> {
    const file = all.current.find((each) => each.path === path);
    const version = file?.model.getAlternativeVersionId();
    // Asked of the model, as what was typed just now is not in the state yet.
    if (!file || version === undefined || version === file.savedVersion || write.isPending) return;
    setError(null);
    try {
      const input = { org: org.slug, sessionId, path, text: file.model.getValue(), expectedSha: file.sha256 };
      const { sha256 } = await write.mutateAsync(input);
      patch(path, { sha256, savedVersion: version, isDirty: file.model.getAlternativeVersionId() !== version });
      void queryClient.invalidateQueries({ queryKey: trpc.sessions.worktree.queryKey({ org: org.slug, sessionId }) });
    } catch (cause) {
      setError(cause);
    }
  }

  return {
    files,
    current: files.find((file) => file.path === current) ?? null,
    opening,
    error,
    /** The machine has another version than the one that was edited. */
    isConflict: codeOf(error as ApiError | null) === 'conflict',
    isSaving: write.isPending,
    open,
    close,
    save,
    show: setCurrent,
  };
}
