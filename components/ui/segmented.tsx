'use client';
import { cn } from './cn.ts';

type Props<T extends string> = {
  label: string;
  value: T;
  onChange: (value: T) => void;
  options: readonly { id: T; label: string; count?: number }[];
};

/** A choice of one among a few, shown side by side. */
export function Segmented<T extends string>({ label, value, onChange, options }: Props<T>) {
  return (
    <fieldset className="flex rounded-md border border-line-strong bg-surface p-px">
      <legend className="sr-only">{label}</legend>
      {options.map((option) => (
        <button
          key={option.id}
          type="button"
          aria-pressed={option.id === value}
          onClick={() => onChange(option.id)}
          className={cn(
            'h-7 rounded-[5px] px-2.5 text-xs text-muted hover:text-ink',
            option.id === value && 'bg-hover font-medium text-ink',
          )}
        >
          {option.label}
          {option.count !== undefined && <span className="ml-1.5 text-faint tabular-nums">{option.count}</span>}
        </button>
      ))}
    </fieldset>
  );
}
