import { describe, expect, it } from 'vitest';
import { githubApiUrl, githubProvider, primaryEmail } from './github.ts';

describe('sign-in with GitHub', () => {
  it('goes to github.com, or wholly to the Enterprise Server that is named', () => {
    expect(githubApiUrl('https://github.com')).toBe('https://api.github.com');
    const provider = githubProvider({ clientId: 'id', clientSecret: 'secret', url: 'https://git.example.com' });
    const addresses = JSON.stringify(provider).match(/https:\/\/[^"]+/g);
    expect(addresses).toEqual([
      'https://git.example.com/login/oauth',
      'https://git.example.com/login/oauth/authorize',
      'https://git.example.com/login/oauth/access_token',
      'https://git.example.com/api/v3/user',
    ]);
  });

  it.each([
    ['the primary one', [{ email: 'A@b.de', primary: true, verified: true }], 'a@b.de'],
    ['not one that is not verified', [{ email: 'a@b.de', primary: true, verified: false }], null],
    ['not a second one', [{ email: 'a@b.de', primary: false, verified: true }], null],
    ['nothing of what is no list', { message: 'Bad credentials' }, null],
  ])('knows a person by %s', (_, reply, expected) => {
    expect(primaryEmail(reply)).toBe(expected);
  });
});
