import { useMemo } from 'react';
import { DiffLines } from './diff-lines.tsx';
import { diffTexts } from './diff-texts.ts';

/** An agent's edit of one file, as it told it. */
export function TextDiff({ path, oldText, newText }: { path: string; oldText: string | null; newText: string }) {
  const hunks = useMemo(() => diffTexts(oldText, newText), [oldText, newText]);
  return (
    <div className="border-b last:border-b-0">
      <p className="truncate border-b bg-sunken px-3 py-1 font-mono text-muted text-xs">{path.replace(/^\/workspace\//, '')}</p>
      <DiffLines path={path} hunks={hunks} />
    </div>
  );
}
