import { once } from 'node:events';
import type { WebSocket } from 'ws';

const RAW = 0;
const PIXEL_BYTES = 4;

export type Frame = { width: number; height: number; name: string; pixels: Buffer };

/** Greets the VNC server behind a websocket and reads the whole screen once, as 32-bit pixels without compression. */
export async function readFrame(ws: WebSocket): Promise<Frame> {
  const reader = new Reader(ws);
  await once(ws, 'open');
  const version = (await reader.take(12)).toString('latin1');
  if (version !== 'RFB 003.008\n') throw new Error(`not RFB 3.8: ${JSON.stringify(version)}`);
  ws.send(version);
  const types = await reader.take((await reader.take(1)).readUInt8());
  if (!types.includes(1)) throw new Error(`security types ${types.join(' ')}`);
  ws.send(Buffer.of(1));
  if ((await reader.take(4)).readUInt32BE() !== 0) throw new Error('refused');
  ws.send(Buffer.of(1));
  const init = await reader.take(24);
  const [width, height] = [init.readUInt16BE(0), init.readUInt16BE(2)];
  const name = (await reader.take(init.readUInt32BE(20))).toString();
  if (init.readUInt8(4) !== PIXEL_BYTES * 8) throw new Error(`${init.readUInt8(4)} bits per pixel`);
  const encodings = Buffer.alloc(8);
  encodings.writeUInt8(2, 0);
  encodings.writeUInt16BE(1, 2);
  encodings.writeInt32BE(RAW, 4);
  ws.send(encodings);
  const request = Buffer.alloc(10);
  request.writeUInt8(3, 0);
  request.writeUInt16BE(width, 6);
  request.writeUInt16BE(height, 8);
  ws.send(request);
  const pixels = Buffer.alloc(width * height * PIXEL_BYTES);
  const head = await reader.take(4);
  if (head[0] !== 0) throw new Error(`message ${head[0]} instead of a screen`);
  for (let rects = head.readUInt16BE(2); rects > 0; rects -= 1) {
    const rect = await reader.take(12);
    const [x, y, w, h] = [0, 2, 4, 6].map((at) => rect.readUInt16BE(at)) as [number, number, number, number];
    const rows = await reader.take(w * h * PIXEL_BYTES);
    for (let row = 0; row < h; row += 1) {
      rows.copy(pixels, ((y + row) * width + x) * PIXEL_BYTES, row * w * PIXEL_BYTES, (row + 1) * w * PIXEL_BYTES);
    }
  }
  ws.close();
  return { width, height, name, pixels };
}

/** Share of the screen that has exactly this colour. */
export function shareOf({ pixels }: Frame, [red, green, blue]: readonly [number, number, number]): number {
  let count = 0;
  for (let at = 0; at < pixels.length; at += PIXEL_BYTES) {
    if (pixels[at] === blue && pixels[at + 1] === green && pixels[at + 2] === red) count += 1;
  }
  return count / (pixels.length / PIXEL_BYTES);
}

class Reader {
  #bytes: Buffer = Buffer.alloc(0);
  #failure: Error | null = null;
  #wake: () => void = () => {};

  constructor(ws: WebSocket) {
    ws.on('message', (data: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, data]);
      this.#wake();
    });
    ws.on('close', (code, reason) => {
      this.#failure = new Error(`closed with ${code} ${reason}`);
      this.#wake();
    });
  }

  async take(length: number): Promise<Buffer> {
    while (this.#bytes.length < length) {
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }
}
