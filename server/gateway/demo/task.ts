import { fence } from './publish.ts';
import { repairTests } from './repair-tests.ts';
import { type Script, tail } from './script.ts';
import { fulfilWish, parseWish } from './wishes.ts';

const LOOK = 'git status --short --branch && git ls-files && cat package.json';
const TEST = 'npm test';

/** A task or message from a person: a wish it understands, or else repairing the failing tests, like a developer in a hurry. */
export function* workOnTask(prompt: string): Script {
  const looked = yield {
    say: 'I am a script that plays the part of a model, because no model is configured. I can repair the sample’s failing test. First I look around.',
    run: LOOK,
  };
  if (looked.exitCode !== 0)
    return `This does not look like a Node.js repository, and I know nothing else:\n\n${fence(tail(looked.output))}`;
  const wish = parseWish(prompt);
  if (wish?.kind === 'rename') return yield* fulfilWish(wish, null);
  if (!/"test"\s*:/.test(looked.output))
    return 'package.json has no test script, and repairing tests is all I know. I changed nothing.';
  const tested = yield { say: 'I run the tests to see what is wrong.', run: TEST };
  if (tested.exitCode === 0) {
    return 'All tests pass, so there is nothing I know how to do. The scripted model repairs failing tests and renames things (“rename X to Y”); for anything else, configure a real model.';
  }
  return yield* repairTests(TEST, tested);
}
