import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesPath, parsePathPattern, readPath } from './request-path.ts';

describe('readPath', () => {
  it.each([
    ['/', '/'],
    ['/a/b/', '/a/b/'],
    ['/A/b', '/A/b'],
    ['/%61%7e%2D', '/a~-'],
    ['/%c3%a9', '/%C3%A9'],
    ['/a%20b%3F', '/a%20b%3F'],
    ['/...', '/...'],
    ['/.git/config', '/.git/config'],
    ['/a:b@c;d=e,f!$&()*+', '/a:b@c;d=e,f!$&()*+'],
  ])('%j is %j', (text, path) => {
    expect(readPath(text)).toEqual({ ok: true, path });
  });

  it.each([
    '',
    'a',
    '*',
    '/a/../b',
    '/..',
    '/.',
    '/a/./b',
    '/%2e%2e/b',
    '/.%2E/b',
    '/a/..;/b',
    '/a/..%3b/b/..',
    '//a',
    '/a//b',
    '//',
    '/a%2fb',
    '/a%5Cb',
    '/a\\b',
    '/a#b',
    '/a?b',
    '/a%',
    '/a%g1',
    '/a%0',
    '/a%00',
    '/a%0d%0a',
    '/a b',
    '/a\0',
    '/é',
    `/${'a'.repeat(9_000)}`,
  ])('refuses %j', (text) => {
    expect(readPath(text)).toMatchObject({ ok: false, why: expect.stringMatching(/^it /) });
  });

  it('has one form: what it gave it gives again, and a URL parser changes nothing about it', () => {
    const pieces = fc.constantFrom('/', '.', '..', '%2e', '%2F', '%61', '%', 'a', 'B', ';', '\\', '*', '~', '\0', 'é', '?', '#');
    const texts = fc.oneof(
      fc.webPath(),
      fc.array(pieces, { maxLength: 10 }).map((parts) => `/${parts.join('')}`),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const read = readPath(text);
        if (!read.ok) return;
        expect(readPath(read.path)).toEqual(read);
        expect(new URL(`http://host${read.path}`).pathname).toBe(read.path);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('matchesPath', () => {
  it.each([
    ['/', '/', true],
    ['/', '/a', false],
    ['/**', '/', true],
    ['/**', '/a/b/c', true],
    ['/v1/**', '/v1', true],
    ['/v1/**', '/v1/', true],
    ['/v1/**', '/v1/a/b', true],
    ['/v1/**', '/v10', false],
    ['/v1/**', '/V1/a', false],
    ['/v1/*', '/v1/a', true],
    ['/v1/*', '/v1/', false],
    ['/v1/*', '/v1/a/b', false],
    ['/repos/*/issues', '/repos/x/issues', true],
    ['/repos/*/issues', '/repos/x/y/issues', false],
    ['/repos/**/issues', '/repos/issues', true],
    ['/repos/**/issues', '/repos/x/y/issues', true],
    ['/repos/**/issues', '/repos/x/issues/1', false],
    ['/**/a/**/b/**', '/x/a/y/z/b', true],
    ['/**/a/**/b/**', '/x/b/y/a', false],
    ['/**/a', '/a/b/a', true],
    ['/a*c', '/abc', true],
    ['/a*c', '/ac', true],
    ['/a*c', '/a', false],
    ['/a*b*c', '/aXbYc', true],
    ['/a*b*c', '/aXc', false],
    ['/aa*aa', '/aaa', false],
    ['/*.tgz', '/x.tgz', true],
    ['/*.tgz', '/xtgz', false],
    ['/%61', '/a', true],
    ['/a', '/a/', false],
    ['/a/', '/a/', true],
    ['/a.b', '/axb', false],
    ['/(a)', '/(a)', true],
  ])('%j and %j: %s', (pattern, path, expected) => {
    const read = readPath(path);
    expect(read.ok && matchesPath(parsePathPattern(pattern)!, read.path)).toBe(expected);
  });

  it.each(['', 'a', '/a/../b', '/a//b', '/a**', '/**b', '/a?b', '/a b', '/a%2fb'])('%j is no pattern', (text) => {
    expect(parsePathPattern(text)).toBeNull();
  });

  it('is quick on a long path that almost matches', () => {
    const pattern = parsePathPattern(`/${'a*'.repeat(100)}b`)!;
    expect(matchesPath(pattern, `/${'a'.repeat(7_000)}`)).toBe(false);
    expect(matchesPath(parsePathPattern('/**/a/**/b')!, `/${'a/'.repeat(3_000)}c`)).toBe(false);
  });
});
