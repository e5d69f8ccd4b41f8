import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { CGI_HEAD_BYTES_MAX, parseCgiHead } from './cgi.ts';
import { KEPT_REFS } from './delete-branch.ts';
import { gitEnv } from './git.ts';

/*
 * Git's smart HTTP protocol through `git http-backend`, as a CGI program: no shell, bodies streamed both ways with back
 * pressure, a cap on what a request may send and a deadline on the whole. Who may do what is decided before this is called;
 * the pre-receive hook is the last word on which ref a push may move.
 */
export const GIT_SERVICES = ['git-upload-pack', 'git-receive-pack'] as const;
export type GitService = (typeof GIT_SERVICES)[number];

/** Passed to the pre-receive hook, which judges each ref. */
export type PushRule =
  | { by: 'session'; allowedRef: string }
  /** `defaultRefusal`: why not to the default branch, or null. Where the moved refs are written, a line each, is `pushedFile`. */
  | { by: 'person'; defaultRefusal: string | null; pushedFile: string };

export type GitHttpCall = {
  /** The bare repository. */
  dir: string;
  /** Path below the repository, already matched against a closed list. */
  path: 'info/refs' | GitService;
  service: GitService;
  /** What a push may move; null makes the repository read-only. */
  push: PushRule | null;
  defaultRef: string;
  /** Runs after git has ended and before the client learns that the request is over; when it throws, the connection is cut. */
  finish?: () => Promise<void>;
};

const HOOKS_DIR = join(import.meta.dirname, 'hooks');
const REQUEST_MS_MAX = 10 * 60_000;
const REQUEST_BYTES_MAX = 512 * 1024 * 1024;
const STDERR_CHARS_MAX = 4_096;

export type GitHttpOutcome = { exitCode: number | null; stderr: string };

/** Answers one request; resolves when the answer is complete or the connection is gone. @throws when a push could not be guarded */
export async function serveGitHttp(req: IncomingMessage, res: ServerResponse, call: GitHttpCall): Promise<GitHttpOutcome> {
  // git runs on without a hook that it cannot execute, and would let every push through.
  if (call.push) await access(join(HOOKS_DIR, 'pre-receive'), constants.X_OK);
  const child = spawn('git', ['http-backend'], { env: cgiEnv(req, call), stdio: ['pipe', 'pipe', 'pipe'] });
  const kill = () => child.kill('SIGKILL');
  const deadline = setTimeout(kill, REQUEST_MS_MAX);
  res.once('close', kill);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < STDERR_CHARS_MAX) stderr += text;
  });
  const closed = new Promise<number | null>((resolve) => {
    child.once('error', (cause) => {
      stderr += cause.message;
      resolve(null);
    });
    child.once('close', resolve);
  });
  feedRequest(req, child.stdin, kill);
  const answered = await relayAnswer(child.stdout, res);
  const exitCode = await closed;
  clearTimeout(deadline);
  res.off('close', kill);
  if (!answered) {
    if (!res.headersSent) res.writeHead(500, { 'content-type': 'text/plain' });
    res.end('The git server could not answer; try again.\n');
    return { exitCode, stderr };
  }
  try {
    await call.finish?.();
    res.end();
  } catch (error) {
    res.destroy();
    throw error;
  }
  return { exitCode, stderr };
}

function cgiEnv(req: IncomingMessage, call: GitHttpCall): NodeJS.ProcessEnv {
  const header = (name: string) => {
    const value = req.headers[name];
    return typeof value === 'string' ? value : '';
  };
  return {
    ...gitEnv({
      'core.hooksPath': HOOKS_DIR,
      'http.receivepack': call.push ? 'true' : 'false',
      'receive.maxInputSize': String(REQUEST_BYTES_MAX),
      'receive.fsckObjects': 'true',
      'receive.advertiseAtomic': 'true',
      'receive.autogc': 'false',
      'transfer.hideRefs': KEPT_REFS,
    }),
    GIT_PROJECT_ROOT: dirname(call.dir),
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: `/${basename(call.dir)}/${call.path}`,
    REQUEST_METHOD: req.method ?? 'GET',
    QUERY_STRING: call.path === 'info/refs' ? `service=${call.service}` : '',
    CONTENT_TYPE: header('content-type'),
    // http-backend inflates gzip bodies itself.
    HTTP_CONTENT_ENCODING: header('content-encoding'),
    GIT_PROTOCOL: /^version=\d$/.test(header('git-protocol')) ? header('git-protocol') : '',
    ...(header('content-length') ? { CONTENT_LENGTH: header('content-length') } : {}),
    // http-backend takes a push only from somebody with a name.
    REMOTE_USER: call.push?.by ?? 'reader',
    WARREN_DEFAULT_REF: call.defaultRef,
    ...hookEnv(call.push),
  };
}

function hookEnv(push: PushRule | null): Record<string, string> {
  if (push === null) return {};
  if (push.by === 'session') return { WARREN_PUSH_BY: push.by, WARREN_ALLOWED_REF: push.allowedRef };
  return {
    WARREN_PUSH_BY: push.by,
    WARREN_DEFAULT_REFUSAL: push.defaultRefusal ?? '',
    WARREN_PUSHED_FILE: push.pushedFile,
  };
}

function feedRequest(req: IncomingMessage, stdin: NodeJS.WritableStream, abort: () => void): void {
  let bytes = 0;
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > REQUEST_BYTES_MAX) abort();
  });
  // The program may end before it has read everything; its answer is what counts.
  stdin.on('error', () => req.resume());
  req.pipe(stdin);
}

/** False when the program ended before its headers were complete. */
function relayAnswer(stdout: Readable, res: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    let head = Buffer.alloc(0);
    let started = false;
    const onData = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const parsed = parseCgiHead(head);
      if (!parsed) {
        if (head.length > CGI_HEAD_BYTES_MAX) stdout.destroy();
        return;
      }
      stdout.off('data', onData);
      started = true;
      res.writeHead(parsed.status, parsed.headers);
      res.write(parsed.rest);
      stdout.pipe(res, { end: false });
    };
    stdout.on('data', onData);
    stdout.once('close', () => resolve(started));
    res.once('close', () => stdout.destroy());
  });
}
