import { cn } from './cn.ts';

type Props<T extends string> = {
  legend: string;
  /** Groups the radio buttons. */
  name: string;
  value: T;
  options: readonly { id: T; label: string; text: string }[];
  onChange: (value: T) => void;
  error?: string | null;
};

/** A choice of one among a few that each need a sentence. */
export function Choice<T extends string>({ legend, name, value, options, onChange, error }: Props<T>) {
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="mb-1 font-medium text-xs">{legend}</legend>
      {options.map(({ id, label, text }) => (
        <label
          key={id}
          className={cn('flex cursor-pointer gap-3 rounded-lg border px-3 py-2', value === id && 'border-accent bg-accent-soft')}
        >
          <input
            type="radio"
            name={name}
            value={id}
            checked={value === id}
            onChange={() => onChange(id)}
            className="mt-1 accent-accent-solid"
          />
          <span>
            <span className="font-medium">{label}</span>
            <span className="block text-muted text-xs">{text}</span>
          </span>
        </label>
      ))}
      {error && (
        <p role="alert" className="text-bad text-xs">
          {error}
        </p>
      )}
    </fieldset>
  );
}
