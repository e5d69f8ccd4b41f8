import NextLink from 'next/link';
import type { ComponentProps } from 'react';
import { cn } from './cn.ts';

/** A link within text. */
export function Link({ className, ...rest }: ComponentProps<typeof NextLink>) {
  return <NextLink className={cn('text-accent underline-offset-2 hover:underline', className)} {...rest} />;
}
