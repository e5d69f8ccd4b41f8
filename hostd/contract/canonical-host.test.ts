import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatPattern, matchesPattern, parseAuthority, parseHost, parsePattern } from './canonical-host.ts';
import { HOST_CORPUS } from './testing/host-corpus.ts';

describe('parseHost', () => {
  it.each(HOST_CORPUS)('$text is $is', ({ text, is }) => {
    expect(parseHost(text)).toEqual(is);
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

describe('parsePattern', () => {
  it.each([
    ['*.GitHub.com.', '*.github.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['*.*.com', null],
    ['*', null],
    ['*.', null],
    ['git*.com', null],
    ['*.10.0.0.1', null],
    ['[::1]', null],
    ['github.com:443', null],
    ['https://github.com', null],
  ])('%j reads %j', (text, canonical) => {
    const pattern = parsePattern(text);
    expect(pattern && formatPattern(pattern)).toBe(canonical);
  });

  it('reads every name of the corpus as that name, and nothing else', () => {
    for (const { text, is } of HOST_CORPUS.filter((one) => !one.text.startsWith('*.'))) {
      expect(parsePattern(text)).toEqual(is?.kind === 'name' ? { name: is.name, subdomains: false } : null);
    }
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
