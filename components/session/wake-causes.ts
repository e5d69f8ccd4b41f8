/** Why a session woke, as the end of a sentence. */
export const WAKE_CAUSES: Record<string, string> = {
  check_failed: 'a check failed',
  review_comment: 'a reviewer commented',
  message: 'a message came',
  click: 'someone woke it',
};
