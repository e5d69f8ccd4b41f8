/*
 * How much is kept of what an agent writes in one turn. Whoever is root in the machine can write to the agent's stdout
 * without end, and the database is shared by all tenants. Past the budget lines are still read, so that the turn can end and
 * the agent is answered, and forgotten.
 */
export type Spent = {
  /** Of the agent's stdout, kept or not: what rows hold cannot be more. */
  bytes: number;
  /** Rows of raw frames. */
  frames: number;
  /** Rows of the timeline. */
  rows: number;
};

export const NOTHING_SPENT: Spent = { bytes: 0, frames: 0, rows: 0 };

/** Well beyond a turn of hours: agents send a frame of some hundred bytes for each few words, and a row for each tool call. */
export const TURN_MAX: Spent = { bytes: 128 * 2 ** 20, frames: 200_000, rows: 5_000 };

/** Of a longer frame a note is kept. The timeline is made from all of it, and bounds what it shows itself. */
export const FRAME_KEPT_BYTES_MAX = 256 * 1024;

export function isOver(spent: Spent, max: Spent = TURN_MAX): boolean {
  return spent.bytes > max.bytes || spent.frames > max.frames || spent.rows > max.rows;
}
