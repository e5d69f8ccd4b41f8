import { cn } from '../ui/cn.ts';
import { formatBytes } from '../ui/format.ts';

const encoder = new TextEncoder();

export function byteLength(text: string): number {
  return encoder.encode(text).length;
}

/** How much of the allowed size a prompt uses; quiet until it matters. */
export function PromptSize({ text, bytesMax, always }: { text: string; bytesMax: number; always?: boolean }) {
  const bytes = byteLength(text);
  const isOver = bytes > bytesMax;
  if (!always && bytes < bytesMax / 2) return null;
  return (
    <span
      role={isOver ? 'alert' : undefined}
      className={cn('text-xs tabular-nums', isOver ? 'font-medium text-bad' : 'text-faint')}
    >
      {bytes === 0 ? `up to ${formatBytes(bytesMax)}` : `${formatBytes(bytes)} of ${formatBytes(bytesMax)}`}
      {isOver && ': too long. Put long material into the repository.'}
    </span>
  );
}
