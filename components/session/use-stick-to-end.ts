'use client';
import { useCallback, useEffect, useRef, useState } from 'react';

/** Closer to the end than this counts as being there. */
const NEAR_PX = 80;

/** Keeps a growing list's end in view for as long as the person has not scrolled away from it. */
export function useStickToEnd() {
  const scroller = useRef<HTMLElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const [isAtEnd, setIsAtEnd] = useState(true);
  const sticks = useRef(true);

  const goToEnd = useCallback(() => {
    sticks.current = true;
    setIsAtEnd(true);
    if (scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  }, []);

  useEffect(() => {
    const outer = scroller.current;
    const inner = content.current;
    if (!outer || !inner) return;
    const onScroll = () => {
      sticks.current = outer.scrollHeight - outer.scrollTop - outer.clientHeight < NEAR_PX;
      setIsAtEnd(sticks.current);
    };
    const onGrowth = new ResizeObserver(() => {
      if (sticks.current) outer.scrollTop = outer.scrollHeight;
    });
    outer.addEventListener('scroll', onScroll, { passive: true });
    onGrowth.observe(inner);
    onGrowth.observe(outer);
    return () => {
      outer.removeEventListener('scroll', onScroll);
      onGrowth.disconnect();
    };
  }, []);

  return { scroller, content, isAtEnd, goToEnd };
}
