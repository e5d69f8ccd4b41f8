import { createServer } from 'node:http';
import path from 'node:path';
import next from 'next';
import { isReachable } from './db.ts';
import { exportForNextAuth, loadEnv } from './env.ts';
import { GIT_PATH, handlePersonGit } from './forge/handle-person-git.ts';
import { createInternalHandler } from './internal/listener.ts';
import { SOCKET_PATH } from './realtime/contract.ts';
import { createGateway } from './realtime/gateway.ts';
import { listenForNotices } from './realtime/listen.ts';
import { closeServices, getServices } from './services.ts';

/*
 * The web process: pages and API through Next and live connections on the public port, machines' traffic on the internal
 * one. `--dev` runs Next's development server in the same place. SIGTERM stops taking requests, lets those under way
 * finish, and exits.
 */
const DRAIN_MS_MAX = 10_000;

const env = loadEnv();
exportForNextAuth(env);
const services = getServices();
const { logger } = services;
const dev = process.argv.includes('--dev');
let stopping: Promise<void> | null = null;

// Upgrades never reach Next by themselves: in production it has none, and it would answer ours. See `upgrade` below.
const notListening = createServer();
const app = next({ dev, dir: path.resolve(import.meta.dirname, '..'), port: env.WARREN_PORT, httpServer: notListening });
await app.prepare();
const handleNext = app.getRequestHandler();

const web = createServer(async (req, res) => {
  // Rate limits count by address: what a client says of itself does not count, see clientAddress.
  if (!env.WARREN_TRUST_PROXY) req.headers['x-forwarded-for'] = req.socket.remoteAddress ?? 'unknown';
  if (req.url === '/healthz') {
    const healthy = !stopping && (await isReachable(services.db));
    res.writeHead(healthy ? 200 : 503, { 'content-type': 'application/json' }).end(JSON.stringify({ ok: healthy }));
    return;
  }
  if (req.url?.startsWith(GIT_PATH)) return handlePersonGit(services, req, res);
  handleNext(req, res).catch((err) => {
    logger.error({ event: 'web.request_failed', err }, 'request failed');
    res.destroy();
  });
});
const gateway = createGateway(services, web);
web.on('upgrade', (req, socket, head) => {
  if (req.url?.startsWith(`${SOCKET_PATH}/`)) return;
  // Where Next's development server listens since its first request; its own getUpgradeHandler() knows no hot reloading.
  if (dev) notListening.emit('upgrade', req, socket, head);
  else socket.destroy();
});
const notices = listenForNotices({
  databaseUrl: env.DATABASE_URL,
  logger,
  onNotice: gateway.publish,
  onGap: gateway.reconnectAll,
});
const internal = createServer(createInternalHandler({ ...services, onTrouble: gateway.publishTrouble }));

await Promise.all([listen(web, env.WARREN_PORT), listen(internal, env.WARREN_INTERNAL_PORT, '127.0.0.1')]);
logger.info(
  { event: 'web.started', url: services.url, port: env.WARREN_PORT, internalPort: env.WARREN_INTERNAL_PORT },
  'web is up',
);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    stopping ??= stop(signal);
  });
}

async function stop(signal: string): Promise<void> {
  logger.info({ event: 'web.stopping', signal }, 'stopping');
  // What hangs must not keep the process: everything it holds is in the database.
  setTimeout(() => process.exit(1), DRAIN_MS_MAX).unref();
  const closed = [web, internal].map((server) => new Promise((resolve) => server.close(resolve)));
  await Promise.all([gateway.close(), notices.close()]);
  await Promise.all(closed);
  await app.close();
  await closeServices(services);
  process.exit(0);
}

function listen(server: ReturnType<typeof createServer>, port: number, host?: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'is in use by another program' : `could not be opened (${cause.message})`;
      reject(new Error(`port ${port} ${why}`, { cause }));
    });
    server.listen(port, host, resolve);
  });
}
