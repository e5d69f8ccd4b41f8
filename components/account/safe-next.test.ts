import { describe, expect, it } from 'vitest';
import { safeNext } from './safe-next.ts';

const HERE = 'https://warren.example';

describe('safeNext', () => {
  it.each([
    'https://evil.example',
    '//evil.example',
    '///evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    '/\t/evil.example',
    '/\n/evil.example',
    '/\r/evil.example',
    '\t//evil.example',
    '/\t\\evil.example',
    ' //evil.example',
    '/.//evil.example',
    '/acme/..//evil.example',
    '/%2e//evil.example',
    'javascript:alert(1)',
    'acme',
    '',
    undefined,
    ['/acme', '/other'],
  ])('does not lead to %j', (next) => {
    expect(safeNext(next)).toBe('/');
  });

  it.each([
    '/acme/sessions?x=1',
    '/',
    '/acme?next=//evil.example#//evil.example',
    '/%09/evil.example',
    '/%2f/evil.example',
    '/%5cevil.example',
  ])('leads to %s, a page of ours', (next) => {
    expect(safeNext(next)).toBe(next);
    expect(new URL(safeNext(next), HERE).origin).toBe(HERE);
  });
});
