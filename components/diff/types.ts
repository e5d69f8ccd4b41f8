import type { DiffFile } from '../../server/changes/compute-diff.ts';

export type { DiffHunk, DiffLine } from '../../server/changes/parse-patch.ts';

/** One file of a diff, as far as it is shown: its whole contents are not needed for that. */
export type FileDiff = Omit<DiffFile, 'oldText' | 'newText'>;
