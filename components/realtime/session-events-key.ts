/** Under which key the query cache holds a session's merged timeline; see components/session/use-session-events.ts. */
export function sessionEventsKey(orgSlug: string, sessionId: string) {
  return ['session-events', orgSlug, sessionId] as const;
}
