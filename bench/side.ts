/** What a suspend of one kind took. */
export type SleepTimes = {
  /** From the decision until the process is gone and its memory is the host's again. */
  releasedMs: number;
};

/** What a wake-up took. Only `replyMs` is ever claimed. */
export type WakeTimes = {
  /** From the request to an answer that only the woken guest could give, checked. */
  replyMs: number;
  /** When the verb said that it was done, and its own account of its steps. Reported, never claimed. */
  saidDoneMs?: number;
  steps?: Record<string, number>;
};

/**
 * One way to put a guest to sleep and to wake it. Before each sleep the guest makes a secret that nothing outside of its memory
 * can know later, and the wake-up ends when the guest has used it on a nonce that was drawn after the request.
 */
export interface Side {
  readonly name: string;
  sleep(): Promise<SleepTimes>;
  wake(): Promise<WakeTimes>;
  /** Ends what runs and removes what only this side needed. */
  close(): Promise<void>;
}
