import { TRPCError } from '@trpc/server';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { HostError } from '../hosts/host-error.ts';
import { reportError } from './report-error.ts';

const wrong = z.object({ name: z.string().max(1, 'Use one letter.') }).safeParse({ name: 'two' }).error;
const inside = (cause: unknown) => reportError(new TRPCError({ code: 'INTERNAL_SERVER_ERROR', cause }), 'req_1');

describe('what does not parse', () => {
  it('is the caller’s fault when it is their input', () => {
    const report = reportError(new TRPCError({ code: 'BAD_REQUEST', cause: wrong }), 'req_1');
    expect(report).toMatchObject({ message: 'Use one letter.', data: { appCode: 'bad_request' } });
    expect(report.data.details).toHaveProperty('issues');
  });

  it('is ours when it is something stored, and says nothing about it', () => {
    const report = inside(wrong);
    expect(report.data).toMatchObject({ appCode: 'internal', details: {} });
    expect(report.message).toMatch(/on our side.*req_1/);
  });
});

describe('what a machine’s host refuses', () => {
  it.each([
    ['not_found', 'not_found', /Reload/],
    ['conflict', 'conflict', /free space/],
    ['disk_full', 'unavailable', /host’s disk is full/],
    ['guest_unreachable', 'unavailable', /machine did not answer/],
    ['unauthorized', 'unavailable', /HOSTD_TOKEN/],
    ['too_large', 'too_large', /smaller/],
    ['bad_request', 'internal', /req_1/],
  ] as const)('%s is told as %s, with its cause and what to do', (code, appCode, words) => {
    const report = inside(new HostError({ code, message: '/var/lib/warren/machines is secret' }));
    expect(report.data.appCode).toBe(appCode);
    expect(report.message).toMatch(words);
    expect(report.message).not.toContain('secret');
  });

  it('carries the machine’s own last words', () => {
    const tail = 'dd: writing\ncat: write error: No space left on device\n';
    expect(inside(new HostError({ code: 'conflict', message: 'not written', tail })).message).toContain(
      'cat: write error: No space left on device',
    );
  });
});
