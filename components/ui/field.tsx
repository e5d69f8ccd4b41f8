import { type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes, type TextareaHTMLAttributes, useId } from 'react';
import { cn } from './cn.ts';

const CONTROL = cn(
  'w-full rounded-md border border-field bg-surface px-3 text-ink transition-colors placeholder:text-faint',
  'hover:border-faint focus:border-accent focus:outline-none focus:ring-2 focus:ring-accent/30',
  'disabled:opacity-60 aria-invalid:border-bad aria-invalid:focus:ring-bad/30',
);

type Common = { label: string; error?: string | null; hint?: ReactNode };

function Wrapped({ id, label, error, hint, children }: Common & { id: string; children: ReactNode }) {
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="font-medium text-xs">
        {label}
      </label>
      {children}
      {error ? (
        <p id={`${id}-error`} role="alert" className="text-bad text-xs">
          {error}
        </p>
      ) : (
        hint && (
          <p id={`${id}-hint`} className="text-faint text-xs">
            {hint}
          </p>
        )
      )}
    </div>
  );
}

function described(id: string, { error, hint }: Pick<Common, 'error' | 'hint'>) {
  if (error) return { 'aria-invalid': true, 'aria-describedby': `${id}-error` } as const;
  return hint ? ({ 'aria-describedby': `${id}-hint` } as const) : {};
}

export function TextField({ label, error, hint, className, ...rest }: Common & InputHTMLAttributes<HTMLInputElement>) {
  const made = useId();
  const id = rest.id ?? made;
  return (
    <Wrapped id={id} label={label} error={error} hint={hint}>
      <input id={id} className={cn(CONTROL, 'h-9', className)} {...described(id, { error, hint })} {...rest} />
    </Wrapped>
  );
}

export function TextArea({ label, error, hint, className, ...rest }: Common & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  const made = useId();
  const id = rest.id ?? made;
  return (
    <Wrapped id={id} label={label} error={error} hint={hint}>
      <textarea
        id={id}
        className={cn(CONTROL, 'min-h-20 resize-y py-2 leading-5', className)}
        {...described(id, { error, hint })}
        {...rest}
      />
    </Wrapped>
  );
}

export function SelectField({ label, error, hint, className, ...rest }: Common & SelectHTMLAttributes<HTMLSelectElement>) {
  const made = useId();
  const id = rest.id ?? made;
  return (
    <Wrapped id={id} label={label} error={error} hint={hint}>
      <select id={id} className={cn(CONTROL, 'h-9 pr-8', className)} {...described(id, { error, hint })} {...rest} />
    </Wrapped>
  );
}
