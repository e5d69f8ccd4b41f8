import type { Script } from './script.ts';
import { fulfilWish, type Place, parseWish } from './wishes.ts';

/** Where the comment is and what it says, from the message about it (server/changes/review-message.ts). */
export function parseReview(prompt: string): { place: Place; comment: string } | null {
  const place = /^Review comment on (.+), line (\d+)/m.exec(prompt);
  const comment = [...prompt.matchAll(/^> ?(.*)$/gm)]
    .map((match) => match[1] ?? '')
    .join('\n')
    .trim();
  if (!place || comment === '') return null;
  return { place: { path: place[1] ?? '', line: Number(place[2]) }, comment };
}

/** Does what a reviewer asks when it is one of the few things it understands, and says so when it is not. */
export function* answerReview(prompt: string): Script {
  const review = parseReview(prompt);
  if (!review) return 'I cannot read which line the comment is about; I changed nothing.';
  const wish = parseWish(review.comment);
  if (!wish) {
    return 'I am the scripted demo model and understand only three wishes: “rename X to Y”, “add a doc comment” and “make this a named constant”. I changed nothing. A real model would have answered this.';
  }
  return yield* fulfilWish(wish, review.place);
}
