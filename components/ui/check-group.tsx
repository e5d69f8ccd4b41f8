import { cn } from './cn.ts';

type Props<T extends string> = {
  legend: string;
  options: readonly { id: T; label: string }[];
  value: readonly T[];
  /** Gets them in the order of the options. */
  onChange: (value: T[]) => void;
  error?: string | null;
  hint?: string;
  mono?: boolean;
};

/** Any number of a few. */
export function CheckGroup<T extends string>({ legend, options, value, onChange, error, hint, mono }: Props<T>) {
  return (
    <fieldset className="flex flex-col gap-1">
      <legend className="mb-1 font-medium text-xs">{legend}</legend>
      <div className="flex flex-wrap gap-x-4 gap-y-1.5">
        {options.map(({ id, label }) => (
          <label key={id} className={cn('inline-flex cursor-pointer items-center gap-1.5 text-xs', mono && 'font-mono')}>
            <input
              type="checkbox"
              className="accent-accent-solid"
              aria-invalid={error ? true : undefined}
              checked={value.includes(id)}
              onChange={({ target }) =>
                onChange(options.map((one) => one.id).filter((one) => (one === id ? target.checked : value.includes(one))))
              }
            />
            {label}
          </label>
        ))}
      </div>
      {error ? (
        <p role="alert" className="text-bad text-xs">
          {error}
        </p>
      ) : (
        hint && <p className="text-faint text-xs">{hint}</p>
      )}
    </fieldset>
  );
}
