import type { ApiError } from '../api/trpc.ts';

type Issue = { path: readonly PropertyKey[]; message: string };

/** The first thing that is wrong with each field, by the field's name. */
export function errorsByField(issues: readonly Issue[] | undefined): Partial<Record<string, string>> {
  const errors: Partial<Record<string, string>> = {};
  for (const { path, message } of issues ?? []) errors[String(path[0])] ??= message;
  return errors;
}

/**
 * The field a refusal of the server is about, and what to say there; null when it is about none. Forms send themselves as
 * one object beside other input, so their fields are the second step of an issue's path.
 */
export function refusedField(error: Pick<ApiError, 'message' | 'data'> | null): { field: string; message: string } | null {
  const details = error?.data?.details as { field?: string; issues?: Issue[] } | undefined;
  if (!error || !details) return null;
  if (details.field) return { field: details.field, message: error.message };
  const issue = details.issues?.[0];
  const field = issue?.path[1];
  return issue && typeof field === 'string' ? { field, message: issue.message } : null;
}
