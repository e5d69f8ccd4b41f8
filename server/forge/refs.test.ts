import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCgiHead } from './cgi.ts';
import { parseGitRequest } from './handle-git.ts';
import { isBranchName, isObjectName, isTreePath } from './refs.ts';

describe('what may be handed to git', () => {
  it.each(['main', 'warren/ses_0a1b', 'feature/x-1.2'])('%s is a branch', (name) => expect(isBranchName(name)).toBe(true));
  it.each([
    '',
    '-x',
    '--upload-pack=x',
    'a..b',
    'a b',
    'HEAD^',
    'a:b',
    '/a',
    'a/',
    'a//b',
    '.a',
    'a/.b',
    'x.lock',
    'a/b.lock/c',
    '@{-1}',
    'a\nb',
    'x.',
  ])('%j is no branch', (name) => expect(isBranchName(name)).toBe(false));
  it.each(['', 'a.ts', 'src/ä b/c.ts', '-x', 'a..b', 'a\nb'])('%j is a path', (path) => expect(isTreePath(path)).toBe(true));
  it.each(['/etc/passwd', '../x', 'a/../b', 'a//b', './a', 'a/', 'a\0b'])('%j is no path', (path) =>
    expect(isTreePath(path)).toBe(false),
  );
  it('only forty hexadecimal digits are a commit', () => {
    expect(isObjectName('0123456789abcdef0123456789abcdef01234567')).toBe(true);
    expect(isObjectName('0123456789abcdef0123456789abcdef0123456')).toBe(false);
    expect(isObjectName('HEAD')).toBe(false);
  });
  it('no branch contains what git would read as something else', () => {
    fc.assert(fc.property(fc.string(), (name) => !isBranchName(name) || /^[A-Za-z0-9_][\w./-]*$/.test(name)));
  });
});

describe('addresses of the git server', () => {
  it.each([
    ['GET', '/git/acme/shop.git/info/refs?service=git-upload-pack', { path: 'info/refs', service: 'git-upload-pack' }],
    ['POST', '/git/acme/shop.git/git-receive-pack', { path: 'git-receive-pack', service: 'git-receive-pack' }],
  ])('%s %s', (method, url, expected) =>
    expect(parseGitRequest({ method, url })).toMatchObject({ orgSlug: 'acme', repoSlug: 'shop', ...expected }),
  );
  it.each([
    ['GET', '/git/acme/shop.git/git-receive-pack'],
    ['POST', '/git/acme/shop.git/info/refs?service=git-upload-pack'],
    ['GET', '/git/acme/shop.git/info/refs?service=git-upload-archive'],
    ['GET', '/git/acme/shop.git/HEAD'],
    ['GET', '/git/acme/..%2fshop.git/info/refs?service=git-upload-pack'],
    ['GET', '/git/acme/../../x.git/info/refs?service=git-upload-pack'],
  ])('nothing at %s %s', (method, url) => expect(parseGitRequest({ method, url })).toBeNull());
});

it('the head of a CGI answer is read once it is complete, however it is cut', () => {
  const whole = Buffer.from('Status: 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nbody\r\n\r\n');
  const end = whole.indexOf('body');
  for (let at = 0; at < end; at += 1) expect(parseCgiHead(whole.subarray(0, at))).toBeNull();
  expect(parseCgiHead(whole)).toEqual({
    status: 403,
    headers: { 'content-type': 'text/plain' },
    rest: Buffer.from('body\r\n\r\n'),
  });
});
