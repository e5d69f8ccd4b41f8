import { handleTrpc } from '../../../../server/api/handler.ts';
import { getServices } from '../../../../server/services.ts';

function handler(request: Request): Promise<Response> {
  return handleTrpc(getServices(), request);
}

export { handler as GET, handler as POST };
