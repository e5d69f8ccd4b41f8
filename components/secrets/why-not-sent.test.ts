import { describe, expect, it } from 'vitest';
import { whyNotSent } from './why-not-sent.ts';

const secret = { host: 'api.example.com', plainHttp: false };

describe('whyNotSent', () => {
  it('is about a host that no rule names', () => {
    expect(whyNotSent(secret, [{ host: 'example.com', mode: 'inspect' }])).toContain('no egress rule names');
  });

  it('is about TLS that goes through unread', () => {
    expect(whyNotSent(secret, [{ host: '*.example.com', mode: 'splice' }])).toContain('inspect');
  });

  it('is nothing where some request can carry it', () => {
    expect(whyNotSent(secret, [{ host: 'api.example.com', mode: 'inspect' }])).toBeNull();
    expect(whyNotSent({ ...secret, plainHttp: true }, [{ host: '*.example.com', mode: 'splice' }])).toBeNull();
  });
});
