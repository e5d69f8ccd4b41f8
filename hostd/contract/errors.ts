import { z } from 'zod';

/**
 * Every way a hostd verb can refuse or fail. The control plane decides on retries by code, never by message text.
 *
 * - `bad_request`        the request does not parse; details hold the zod issues
 * - `unauthorized`       missing or wrong bearer token
 * - `not_found`          no such machine, snapshot or file
 * - `conflict`           the id exists with other parameters, or the verb is not allowed in the machine's state
 * - `stale_lease`        the request's lease number is lower than the one the host holds
 * - `incompatible`       the snapshot cannot be loaded here (QEMU version, accelerator, CPU model, checksum)
 * - `no_capacity`        not enough memory or disk for the request
 * - `missing_dependency` a program or image the verb needs is not installed; message names it and the fix
 * - `disk_full`          the data directory ran out of space; nothing half-written is left behind
 * - `guest_unreachable`  the machine runs but its channel did not answer before the deadline
 * - `timeout`            the verb's own deadline passed
 * - `too_large`          the file or output is beyond its cap
 * - `store_failed`       the object store did not answer or refused; message says whether asking again helps
 * - `internal`           anything else; message and phase say what was being done
 */
export const HOSTD_ERROR_CODES = [
  'bad_request',
  'unauthorized',
  'not_found',
  'conflict',
  'stale_lease',
  'incompatible',
  'no_capacity',
  'missing_dependency',
  'disk_full',
  'guest_unreachable',
  'timeout',
  'too_large',
  'store_failed',
  'internal',
] as const;

export type HostdErrorCode = (typeof HOSTD_ERROR_CODES)[number];

/** HTTP status each code travels with. */
export const HOSTD_ERROR_STATUS = {
  bad_request: 400,
  unauthorized: 401,
  not_found: 404,
  conflict: 409,
  stale_lease: 409,
  incompatible: 409,
  no_capacity: 503,
  missing_dependency: 503,
  disk_full: 507,
  guest_unreachable: 504,
  timeout: 504,
  too_large: 413,
  store_failed: 503,
  internal: 500,
} as const satisfies Record<HostdErrorCode, number>;

export const hostdErrorSchema = z.object({
  code: z.enum(HOSTD_ERROR_CODES),
  /** For operators: the cause and the next step. */
  message: z.string(),
  /** Step of the verb that failed, such as `qemu.start` or `guest.ssh`. */
  phase: z.string().optional(),
  /** Last lines of the failing program's output, capped at 4 KiB. */
  tail: z.string().optional(),
});

export type HostdErrorBody = z.infer<typeof hostdErrorSchema>;
