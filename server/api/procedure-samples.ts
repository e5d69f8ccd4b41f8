import type { inferRouterInputs } from '@trpc/server';
import type { AppRouter } from './root.ts';

/*
 * One valid input for every procedure of an organization, about things that exist in the sample organization. The suite in
 * authorization.db.test.ts calls each of them as everybody who may not. A new procedure without a sample does not compile.
 */
export type SampleIds = {
  org: string;
  repo: string;
  sessionId: string;
  templateId: string;
  change: { number: number; headSha: string };
  threadId: string;
  checkId: string;
};

type Inputs = inferRouterInputs<AppRouter>;
type OrgProcedures<R> = { [P in keyof R as R[P] extends { org: string } ? P : never]: R[P] };

/** Samples by router and procedure. */
export type Samples = {
  [R in keyof Inputs as keyof OrgProcedures<Inputs[R]> extends never ? never : R]: OrgProcedures<Inputs[R]>;
};

export function procedureSamples({ org, repo, sessionId, templateId, change, threadId, checkId }: SampleIds): Samples {
  const session = { org, sessionId };
  const ruleId = 'rul_00000000000000000000';
  const rule = { host: 'api.example.com', ports: [443], mode: 'splice' as const, methods: null, paths: null, webSocket: false };
  const secretId = 'sec_00000000000000000000';
  const secret = {
    name: 'A registry',
    host: 'api.example.com',
    header: 'authorization',
    scheme: 'bearer' as const,
    value: 'v',
    plainHttp: false,
    purposes: ['session' as const],
  };
  const ofChange = { org, repo, number: change.number };
  return {
    orgs: {
      get: { org },
      audit: { org },
      usage: { org },
      hosts: { org },
    },
    repositories: {
      list: { org },
      create: { org, name: 'Another', content: 'empty' },
      get: { org, repo },
      tree: { org, repo, path: '' },
      file: { org, repo, path: 'README.md' },
      rebuildTemplate: { org, repo },
      templateLog: { org, templateId },
    },
    changes: {
      list: { org, state: 'open' },
      get: ofChange,
      diff: ofChange,
      comment: { ...ofChange, path: 'README.md', line: 1, commitSha: change.headSha, body: 'Why?' },
      reply: { org, threadId, body: 'Because.' },
      resolve: { org, threadId, resolved: true },
      checkLog: { org, checkId },
      rerunCheck: { org, checkId },
      merge: { ...ofChange, expectedHeadSha: change.headSha },
      close: ofChange,
    },
    sessions: {
      list: { org, repo },
      create: { org, repo, prompt: 'Make the tests pass.' },
      get: session,
      events: { ...session, afterRev: 0 },
      send: { ...session, text: 'Go on.' },
      suspend: session,
      wake: session,
      stop: session,
      retry: session,
      cancelTurn: session,
      files: { ...session, path: '' },
      readFile: { ...session, path: 'README.md' },
      writeFile: { ...session, path: 'README.md', text: '' },
      worktree: session,
    },
    egress: {
      rules: { org },
      log: { org, sessionId, decision: 'deny', host: 'example' },
      addRule: { org, rule },
      changeRule: { org, ruleId, rule },
      removeRule: { org, ruleId },
    },
    secrets: {
      list: { org },
      create: { org, secret },
      setValue: { org, secretId, secret: { value: 'v' } },
      remove: { org, secretId },
    },
  };
}

/** Procedures that belong to no organization, and whether they need a signed-in person. */
export const PROCEDURES_WITHOUT_ORG: Record<string, 'public' | 'authed'> = {
  'account.signUp': 'public',
  'account.me': 'authed',
  'account.tokens': 'authed',
  'account.createToken': 'authed',
  'account.revokeToken': 'authed',
  'orgs.list': 'authed',
};

/** Queries that take more than the role viewer. */
export const QUERIES_ABOVE_VIEWER = new Set(['orgs.audit', 'secrets.list']);
