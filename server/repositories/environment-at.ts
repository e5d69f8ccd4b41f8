import {
  ENVIRONMENT_BYTES_MAX,
  ENVIRONMENT_PATH,
  type EnvironmentResult,
  parseEnvironment,
} from '../environments/environment.ts';
import { readFileAt } from './bare-repository.ts';

/** What `.warren/environment.yaml` says at a commit; the defaults when the commit has none. */
export async function environmentAt(gitDir: string, sha: string): Promise<EnvironmentResult> {
  const file = await readFileAt(gitDir, sha, ENVIRONMENT_PATH);
  if (file && (file.binary || file.bytes > ENVIRONMENT_BYTES_MAX)) {
    return {
      ok: false,
      problems: [{ line: 1, message: `the file must be text of at most ${ENVIRONMENT_BYTES_MAX / 1024} KiB` }],
    };
  }
  return parseEnvironment(file?.text ?? null);
}
