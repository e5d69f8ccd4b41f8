// Shows a page in the browser's one tab, by the DevTools protocol, and waits until it has loaded: an emulated machine takes
// minutes for it. Usage: node open-page.mjs URL
const BROWSER = 'http://127.0.0.1:9222';
const LOAD_MS_MAX = 15 * 60_000;
const [url] = process.argv.slice(2);
const late = AbortSignal.timeout(LOAD_MS_MAX);
late.addEventListener('abort', () => fail(`${url} did not load within ${LOAD_MS_MAX / 60_000} minutes`));

function fail(why) {
  console.error(why);
  process.exit(1);
}

/** The browser's page; asked for until the browser, which may be starting, answers. */
async function findPage() {
  for (;;) {
    const pages = await fetch(`${BROWSER}/json/list`).then(
      (reply) => reply.json(),
      () => [],
    );
    const page = pages.find(({ type }) => type === 'page');
    if (page) return page;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

const page = await findPage();
const socket = new WebSocket(page.webSocketDebuggerUrl);
await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }));
socket.addEventListener('close', () => fail('the browser ended'));
let last = 0;
const waiting = new Map();
const loaded = Promise.withResolvers();
socket.addEventListener('message', ({ data }) => {
  const message = JSON.parse(data);
  if (message.method === 'Page.loadEventFired') loaded.resolve();
  waiting.get(message.id)?.(message);
});
const ask = (method, params = {}) =>
  new Promise((resolve) => {
    last += 1;
    waiting.set(last, (message) => (message.error ? fail(`${method}: ${message.error.message}`) : resolve(message.result)));
    socket.send(JSON.stringify({ id: last, method, params }));
  });

await ask('Page.enable');
await ask('Page.bringToFront');
const { errorText } = await ask('Page.navigate', { url });
if (errorText) fail(`${url}: ${errorText}`);
await loaded.promise;
const { result } = await ask('Runtime.evaluate', { expression: 'document.title' });
console.log(`${url} has loaded${result.value ? `: ${result.value}` : ''}`);
process.exit(0);
