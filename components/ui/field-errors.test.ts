import { describe, expect, it } from 'vitest';
import { errorsByField, refusedField } from './field-errors.ts';

function refusal(message: string, details: unknown) {
  return { message, data: { details } } as Parameters<typeof refusedField>[0];
}

describe('what is said at a field', () => {
  it('is the first thing that is wrong with it', () => {
    const issues = [
      { path: ['host'], message: 'Enter a host.' },
      { path: ['ports', 1], message: 'A port is a number.' },
      { path: ['host'], message: 'Too short.' },
    ];
    expect(errorsByField(issues)).toEqual({ host: 'Enter a host.', ports: 'A port is a number.' });
    expect(errorsByField(undefined)).toEqual({});
  });

  it('is what the server refused it for', () => {
    expect(refusedField(refusal('Taken.', { field: 'header' }))).toEqual({ field: 'header', message: 'Taken.' });
    const issues = [{ path: ['rule', 'paths', 0], message: 'Not a path.' }];
    expect(refusedField(refusal('rule.paths: Not a path.', { issues }))).toEqual({ field: 'paths', message: 'Not a path.' });
  });

  it('is nothing when the refusal is about no field', () => {
    expect(refusedField(null)).toBeNull();
    expect(refusedField(refusal('Not found.', {}))).toBeNull();
    expect(refusedField(refusal('org: too long', { issues: [{ path: ['org'], message: 'too long' }] }))).toBeNull();
  });
});
