import { handlePasswordSignIn } from '../../../../server/auth/handle-password-sign-in.ts';
import { getServices } from '../../../../server/services.ts';

export function POST(request: Request): Promise<Response> {
  return handlePasswordSignIn(getServices(), request);
}
