import { expect, it } from 'vitest';
import { fleetFigures } from './bench-storage.ts';

it('compares a tool that was left behind by what both had stored until then', () => {
  const figures = fleetFigures({
    sessions: 2,
    results: [
      { tool: 'ours', ms: [10, 11, 12], storedBytes: [100, 110, 120] },
      { tool: 'whole', ms: [20, 30, 48], storedBytes: [100, 200, 300] },
      { tool: 'behind', ms: [30, 99], storedBytes: [100, 137.5] },
      { tool: 'never', ms: [], storedBytes: [] },
    ],
  });
  expect(figures).toEqual({
    'storage.fleetSessions': 2,
    'storage.fleetVsBest': 0.8,
    'storage.fleetIngestTimesFasterThanBest': 4,
  });
});
