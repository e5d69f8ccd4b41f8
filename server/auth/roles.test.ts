import { describe, expect, it } from 'vitest';
import { Role } from '../../prisma/generated/enums.ts';
import { hasRole, ROLES } from './roles.ts';

describe('roles', () => {
  it('are the database’s', () => {
    expect(Object.values(Role).toSorted()).toEqual([...ROLES].toSorted());
  });

  it('include those below them', () => {
    const table = ROLES.map((role) => ROLES.filter((needed) => hasRole(role, needed)));
    expect(table).toEqual([['viewer'], ['viewer', 'developer'], ['viewer', 'developer', 'admin'], [...ROLES]]);
  });
});
