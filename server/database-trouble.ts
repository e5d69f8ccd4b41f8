import { AppError } from './errors.ts';

// Prisma's codes for a server that cannot be reached, timed out, hung up, or has no connection or transaction to give.
const AWAY = new Set(['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028', 'ECONNREFUSED', 'ECONNRESET']);
// PostgreSQL's: shutting down, crashed, starting up, too many connections.
const AWAY_STATES = new Set(['57P01', '57P02', '57P03', '53300']);
const DISK_FULL = '53100';
const DEPTH_MAX = 6;

type Links = { code?: unknown; originalCode?: unknown; cause?: unknown; meta?: { driverAdapterError?: unknown } };

/** Every code on the way from the outermost error to the one that PostgreSQL or the socket gave. */
function codesOf(error: unknown): string[] {
  const codes: unknown[] = [];
  const queue = [error];
  for (let seen = 0; queue.length > 0 && seen < DEPTH_MAX; seen += 1) {
    const next = queue.shift();
    if (typeof next !== 'object' || next === null) continue;
    const { code, originalCode, cause, meta } = next as Links;
    codes.push(code, originalCode);
    queue.push(cause, meta?.driverAdapterError);
  }
  return codes.filter((code): code is string => typeof code === 'string');
}

/** What is wrong with the database; null when the error is not its fault. */
export function troubleOf(error: unknown): 'database_full' | 'database_away' | null {
  const codes = codesOf(error);
  if (codes.includes(DISK_FULL)) return 'database_full';
  return codes.some((code) => AWAY.has(code) || AWAY_STATES.has(code)) ? 'database_away' : null;
}

/** Was it a transaction that found no end in its time? A busy database does that, and so does work that is too much for one. */
export function isTransactionTimeout(error: unknown): boolean {
  return codesOf(error).includes('P2028');
}

/** What a person is told when the database, not the request, is the reason; null when it is not. */
export function databaseTrouble(error: unknown): AppError | null {
  const trouble = troubleOf(error);
  const message = error instanceof Error ? error.message.trim() : undefined;
  if (trouble === 'database_full') {
    const publicMessage =
      'The database’s disk is full, so nothing was changed. Whoever runs Warren has to free space; then try again.';
    return new AppError('unavailable', { publicMessage, message, cause: error });
  }
  if (trouble === null) return null;
  const publicMessage = 'Warren’s database does not answer at the moment. What was stored is safe; try again shortly.';
  return new AppError('unavailable', { publicMessage, message, cause: error });
}
