import { z } from 'zod';
import { GUEST } from '../../hostd/contract/machines.ts';
import type { HostClient } from './host-client.ts';
import { HostError } from './host-error.ts';

/** A session's uncommitted changes, kept at suspend so that a sleeping session can be read and reviewed. */
export const worktreeSchema = z.object({
  /** Unified diff against HEAD, new files included. */
  diff: z.string(),
  /** True when the diff is only its first WORKTREE_DIFF_BYTES_MAX bytes. */
  truncated: z.boolean(),
  files: z.array(z.object({ path: z.string(), status: z.string() })),
  headSha: z.string(),
  capturedAt: z.iso.datetime(),
});
export type Worktree = z.infer<typeof worktreeSchema>;

export const WORKTREE_DIFF_BYTES_MAX = 400_000;
const FILES_MAX = 1_000;

// A copy of the index is used, so that new files show in the diff and the agent's own staging stays as it was.
const CAPTURE = `
set -eu
cd ${GUEST.workspace}
index=$(mktemp)
trap 'rm -f "$index"' EXIT
cp .git/index "$index" 2>/dev/null || :
export GIT_INDEX_FILE="$index" GIT_OPTIONAL_LOCKS=0
git rev-parse HEAD
git status --porcelain=v1 --untracked-files=all | head -n ${FILES_MAX}
echo
git add --all --intent-to-add .
git diff --no-color --no-ext-diff HEAD | head -c ${WORKTREE_DIFF_BYTES_MAX + 1}
`;

/** Reads the uncommitted changes from a live machine. Rejects with HostError. */
export async function captureWorktree(host: HostClient, machineId: string, now: Date): Promise<Worktree> {
  const result = await host.exec(machineId, { argv: ['sh', '-c', CAPTURE, 'warren-capture-worktree'], timeoutMs: 60_000 });
  if (result.exitCode !== 0) {
    const message = `git could not read the worktree (exit ${result.exitCode}): ${result.stderr.slice(-500)}`;
    throw new HostError({ code: 'internal', message, phase: 'worktree' });
  }
  return parseWorktree(result.stdout, now);
}

/** Reads what CAPTURE prints: the commit, one line per file, an empty line, the diff. */
export function parseWorktree(printed: string, now: Date): Worktree {
  const [head = '', diff = ''] = splitOnce(printed, '\n\n');
  const [headSha = '', ...lines] = head.split('\n');
  const files = lines.filter(Boolean).map((line) => ({ path: line.slice(3), status: line.slice(0, 2).trim() }));
  const bytes = Buffer.from(diff);
  const truncated = bytes.byteLength > WORKTREE_DIFF_BYTES_MAX;
  const kept = truncated ? bytes.subarray(0, WORKTREE_DIFF_BYTES_MAX).toString('utf8') : diff;
  return { diff: kept.toWellFormed().replaceAll('\0', '\uFFFD'), truncated, files, headSha, capturedAt: now.toISOString() };
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}
