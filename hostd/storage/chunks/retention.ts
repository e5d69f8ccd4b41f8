import type { Ref } from './refs.ts';

/** Which refs a collection lets go. Without a rule every ref stays; whoever made it removes it. */
export type RetentionRules = {
  /** Of each group, the newest so many stay. */
  keepLast?: number;
  /** Those made on purpose stay, however old. */
  keepCheckpoints: boolean;
  /** Younger ones stay, milliseconds. */
  keepYoungerMs?: number;
};

type Named = { name: string; ref: Ref };

/** A ref goes when every rule that is given lets it go. A parent's ref may go before its children's: they keep what they need. */
export function decideRetention(refs: readonly Named[], rules: RetentionRules, now: number): { keep: Named[]; drop: Named[] } {
  if (rules.keepLast === undefined && rules.keepYoungerMs === undefined) return { keep: [...refs], drop: [] };
  const seen = new Map<string, number>();
  const keep: Named[] = [];
  const drop: Named[] = [];
  const newestFirst = [...refs].sort((one, other) => Date.parse(other.ref.createdAt) - Date.parse(one.ref.createdAt));
  for (const named of newestFirst) {
    const { group, checkpoint, createdAt } = named.ref;
    const place = seen.get(group) ?? 0;
    seen.set(group, place + 1);
    const stays =
      (rules.keepCheckpoints && checkpoint) ||
      (rules.keepLast !== undefined && place < rules.keepLast) ||
      (rules.keepYoungerMs !== undefined && now - Date.parse(createdAt) < rules.keepYoungerMs);
    (stays ? keep : drop).push(named);
  }
  return { keep, drop };
}
