import { createCaller } from '../api/root.ts';
import type { Services } from '../services.ts';

/** The API as one person sees it, or nobody. */
export function callerFor(services: Services, userId: string | null) {
  return createCaller({
    services,
    user: userId === null ? null : { id: userId, email: `${userId}@example.com`, name: 'Somebody' },
    requestId: 'req_test',
    clientAddress: '127.0.0.1',
    log: services.logger,
  });
}
