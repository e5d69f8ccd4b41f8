/** Raised when a request or reply changes in a way an older peer cannot read. Sent by both sides as `x-warren-contract`. */
export const CONTRACT_VERSION = 2;
