/*
 * Counts the notices about each session's timeline, so that a fetch under way knows that it has to go on: starting it anew
 * for each notice would show nothing for as long as the agent keeps talking.
 */
const versions = new Map<string, number>();

export function timelineVersion(sessionId: string): number {
  return versions.get(sessionId) ?? 0;
}

export function timelineMoved(sessionId: string): void {
  versions.set(sessionId, timelineVersion(sessionId) + 1);
}
