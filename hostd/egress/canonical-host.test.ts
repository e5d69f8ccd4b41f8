import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesPattern, parseAuthority, parseHost, parsePattern } from './canonical-host.ts';

describe('parseHost', () => {
  it.each([
    ['example.com', 'example.com'],
    ['EXAMPLE.Com', 'example.com'],
    ['example.com.', 'example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['ｅｘａｍｐｌｅ.com', 'example.com'],
    ['example。com', null],
    ['localhost', 'localhost'],
    ['_dmarc.example.com', '_dmarc.example.com'],
    ['git.warren.internal', 'git.warren.internal'],
    ['', null],
    ['.', null],
    ['..', null],
    ['.example.com', null],
    ['example..com', null],
    ['example.com..', null],
    ['exa mple.com', null],
    ['example.com\0.evil.com', null],
    ['example.com%00.evil.com', null],
    ['%65xample.com', null],
    ['user@example.com', null],
    ['example.com@evil.com', null],
    ['example.com:80', null],
    ['example.com/evil', null],
    ['example.com\\evil', null],
    ['example.com#', null],
    ['example.com?', null],
    ['-bad.example', null],
    ['bad-.example', null],
    ['1.2.3.4.5', null],
    ['256.256.256.256', null],
    ['1.2.3.999', null],
    ['[::1', null],
    ['::1', null],
    ['[fe80::1%eth0]', null],
    ['[::1].example.com', null],
    [`${'a'.repeat(64)}.com`, null],
    [`${'a.'.repeat(130)}com`, null],
    ['a\u0000', null],
    ['exam\u00adple.com', null],
    ['exa\u200bmple.com', null],
  ])('%j is the name %j', (text, name) => {
    expect(parseHost(text)).toEqual(name === null ? null : { kind: 'name', name });
  });

  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['127.1', '127.0.0.1'],
    ['2130706433', '127.0.0.1'],
    ['0x7f000001', '127.0.0.1'],
    ['0x7f.0.0.1', '127.0.0.1'],
    ['0177.0.0.1', '127.0.0.1'],
    ['127.0.0.1.', '127.0.0.1'],
    ['１２７.0.0.1', '127.0.0.1'],
    ['0', '0.0.0.0'],
    ['8.8.8.8', '8.8.8.8'],
    ['[::1]', '::1'],
    ['[0:0:0:0:0:0:0:1]', '::1'],
    ['[::ffff:10.0.0.1]', '::ffff:a00:1'],
    ['[2001:DB8::1]', '2001:db8::1'],
  ])('%j is the address %j', (text, address) => {
    expect(parseHost(text)).toEqual({ kind: 'address', address });
  });

  it('never throws, and what it accepts it accepts again unchanged', { timeout: 60_000 }, () => {
    const pieces = fc.constantFrom(
      'a',
      'Z',
      '0',
      '.',
      '-',
      '_',
      '%',
      '@',
      ':',
      '[',
      ']',
      '\0',
      '/',
      '\\',
      'ü',
      '。',
      '0x',
      '127',
      ' ',
      '\u00ad',
    );
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join('')),
      fc.domain(),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const parsed = parseHost(text);
        if (parsed?.kind !== 'name') return;
        expect(parsed.name).toMatch(/^[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?$/);
        expect(parseHost(parsed.name)).toEqual(parsed);
        // What is dialled is what was compared: no second parser reads another host out of it.
        expect(new URL(`http://${parsed.name}/`).hostname).toBe(parsed.name);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('parseAuthority', () => {
  it.each([
    ['example.com:443', 'example.com', 443],
    ['EXAMPLE.com.:8080', 'example.com', 8080],
    ['[::1]:443', '::1', 443],
  ])('%j', (text, host, port) => {
    const parsed = parseAuthority(text);
    expect(parsed?.host.kind === 'name' ? parsed.host.name : parsed?.host.address).toBe(host);
    expect(parsed?.port).toBe(port);
  });

  it.each([
    'example.com',
    'example.com:',
    ':443',
    'example.com:0',
    'example.com:65536',
    'a@b:443',
    'a:b:443',
    'a:443:80',
    'a:+443',
    'http://a:443',
    '',
  ])('refuses %j', (text) => {
    expect(parseAuthority(text)).toBeNull();
  });
});

describe('matchesPattern', () => {
  const matches = (pattern: string, host: string) => {
    const parsed = parseHost(host);
    const compiled = parsePattern(pattern);
    return parsed?.kind === 'name' && compiled !== null && matchesPattern(compiled, parsed.name);
  };

  it.each([
    ['github.com', 'github.com', true],
    ['GitHub.com.', 'github.com', true],
    ['github.com', 'api.github.com', false],
    ['github.com', 'evilgithub.com', false],
    ['*.github.com', 'api.github.com', true],
    ['*.github.com', 'a.b.github.com', true],
    ['*.github.com', 'github.com', false],
    ['*.github.com', 'evilgithub.com', false],
    ['*.github.com', 'github.com.evil.com', false],
    ['*', 'example.com', false],
    ['*.', 'example.com', false],
    ['*.*.com', 'a.b.com', false],
    ['10.0.0.1', '10.0.0.1', false],
    ['', 'example.com', false],
  ])('%j and %j: %s', (pattern, host, expected) => {
    expect(matches(pattern, host)).toBe(expected);
  });
});
