import { CircleCheck, CircleX, Clock } from 'lucide-react';
import { Badge } from '../ui/badge.tsx';
import { Spinner } from '../ui/spinner.tsx';

export type TemplateState = 'building' | 'ready' | 'failed' | 'retired';

/** Whether sessions of a repository can start at once. Null: no template was asked for yet. */
export function TemplateBadge({ state }: { state: TemplateState | null }) {
  if (state === 'ready') {
    return (
      <Badge tone="good" title="Sessions fork from it and start at once">
        <CircleCheck aria-hidden /> template ready
      </Badge>
    );
  }
  if (state === 'building') {
    return (
      <Badge tone="warn">
        <Spinner className="!size-3" /> building template
      </Badge>
    );
  }
  if (state === 'failed') {
    return (
      <Badge tone="bad">
        <CircleX aria-hidden /> template failed
      </Badge>
    );
  }
  return (
    <Badge title="The first session builds it">
      <Clock aria-hidden /> no template yet
    </Badge>
  );
}
