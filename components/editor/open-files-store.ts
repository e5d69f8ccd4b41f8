import type { monaco } from './monaco.ts';

export type OpenFile = {
  path: string;
  model: monaco.editor.ITextModel;
  /** What the machine has: saving compares it, so that nobody's edit is overwritten unseen. */
  sha256: string;
  /** The model's version that the machine has. */
  savedVersion: number;
  isDirty: boolean;
  /** Why it can be read only, or null. */
  readOnly: string | null;
};

export type OpenFiles = { files: OpenFile[]; current: string | null };

/*
 * Files opened from each session's machine, for as long as this tab lives: what is unsaved is still there after a look at
 * another page. Leaving the site with something unsaved asks first.
 */
const kept = new Map<string, OpenFiles>();

export function keptFiles(sessionId: string): OpenFiles {
  return kept.get(sessionId) ?? { files: [], current: null };
}

export function keepFiles(sessionId: string, open: OpenFiles): void {
  kept.set(sessionId, open);
}

export function hasUnsaved({ model, savedVersion }: Pick<OpenFile, 'model' | 'savedVersion'>): boolean {
  return model.getAlternativeVersionId() !== savedVersion;
}

window.addEventListener('beforeunload', (event) => {
  if ([...kept.values()].some(({ files }) => files.some(hasUnsaved))) event.preventDefault();
});
