export type DiffLine = { kind: 'context' | 'add' | 'del'; text: string; oldLine: number | null; newLine: number | null };
export type DiffHunk = { oldStart: number; newStart: number; lines: DiffLine[] };

/** One file of a diff, as far as it is shown. */
export type FileDiff = {
  path: string;
  oldPath: string | null;
  status: 'added' | 'modified' | 'deleted' | 'renamed';
  additions: number;
  deletions: number;
  binary: boolean;
  /** Too large to be shown. */
  truncated: boolean;
  hunks: DiffHunk[];
};
