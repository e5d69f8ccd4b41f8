/** Time as a dependency, so that nothing under test waits. */
export type Clock = { now: () => Date };

export const systemClock: Clock = { now: () => new Date() };
