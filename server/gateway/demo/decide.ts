import { repairCheck } from './check-failed.ts';
import { readConversation } from './conversation.ts';
import { answerReview } from './review-comment.ts';
import { nextAction, type Script } from './script.ts';
import { workOnTask } from './task.ts';
import { shellCall, type ToolCall, waitCall } from './tools.ts';

/** Marks everything it says, wherever that is shown. */
export const DEMO_MARK = '[scripted demo model]';

/** Of half a minute each. */
const WAITS_MAX = 40;

export type DemoReply = { text: string | null; call: ToolCall | null };

/** What the scripted model answers to a Responses API request: a pure function of the conversation in it. */
export function decideReply(request: unknown): DemoReply {
  const conversation = readConversation(request);
  if (!conversation) return say('I see no message to act on.');
  if (conversation.running) {
    if (conversation.running.waits >= WAITS_MAX) return say('The command does not come to an end, so I stop here.');
    return { text: null, call: waitCall(conversation.running.session) };
  }
  const action = nextAction(scriptFor(conversation.prompt), conversation.executed);
  if (action.kind === 'end') return say(action.say);
  const call = shellCall(conversation.tools, action.command);
  return call ? { text: mark(action.say), call } : say('This agent offers no shell tool that I know, so I can do nothing here.');
}

/** Picked by the first line of the messages Warren writes (server/checks/failure-message.ts, server/changes/review-message.ts). */
function scriptFor(text: string): Script {
  // An agent that lost its memory is told what went before; see worker/sessions/prompt-text.ts.
  const prompt = text.split('The next message:\n\n').at(-1) ?? text;
  if (/^Checks? failed\b/.test(prompt)) return repairCheck(prompt);
  if (/^Review comment on /.test(prompt)) return answerReview(prompt);
  return workOnTask(prompt);
}

function say(text: string): DemoReply {
  return { text: mark(text), call: null };
}

function mark(text: string): string {
  return `${DEMO_MARK} ${text}`;
}
