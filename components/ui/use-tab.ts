'use client';
import { useSearchParams } from 'next/navigation';

/** Which tab is shown. It is in the address, so that a reload keeps it and a link leads to it; `first` needs no mention. */
export function useTab<T extends string>(tabs: readonly { id: T }[], first: T): [T, (tab: T) => void] {
  const asked = useSearchParams().get('tab');
  const shown = tabs.find(({ id }) => id === asked)?.id ?? first;

  function show(tab: T) {
    const address = new URL(window.location.href);
    if (tab === first) address.searchParams.delete('tab');
    else address.searchParams.set('tab', tab);
    // Replaced: going back leaves the page, however many tabs were looked at.
    window.history.replaceState(null, '', address);
  }

  return [shown, show];
}
