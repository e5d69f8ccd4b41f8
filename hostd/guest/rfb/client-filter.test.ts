import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RfbClientFilter, RfbError } from './client-filter.ts';

const HELLO = Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.from([1, 0])]);
const MESSAGES = {
  pixelFormat: Buffer.concat([Buffer.from([0]), Buffer.alloc(19)]),
  encodings: Buffer.from([2, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0]),
  updateRequest: Buffer.from([3, 1, 0, 0, 0, 0, 5, 0, 3, 32]),
  key: Buffer.from([4, 1, 0, 0, 0, 0, 0, 97]),
  pointer: Buffer.from([5, 1, 0, 10, 0, 20]),
  cutText: Buffer.from([6, 0, 0, 0, 0, 0, 0, 2, 104, 105]),
  extendedCutText: Buffer.from([6, 0, 0, 0, 0xff, 0xff, 0xff, 0xfc, 0, 0, 0, 1]),
  continuousUpdates: Buffer.concat([Buffer.from([150]), Buffer.alloc(9)]),
  fence: Buffer.from([248, 0, 0, 0, 0, 0, 0, 0, 1, 9]),
  desktopSize: Buffer.concat([Buffer.from([251, 0, 5, 0, 3, 32, 1, 0]), Buffer.alloc(16)]),
  extendedKey: Buffer.concat([Buffer.from([255]), Buffer.alloc(11)]),
};
type Name = keyof typeof MESSAGES;
const INPUT: readonly Name[] = ['key', 'pointer', 'cutText', 'extendedCutText', 'desktopSize', 'extendedKey'];
const names = Object.keys(MESSAGES) as Name[];

const greeted = (viewOnly: boolean) => {
  const filter = new RfbClientFilter({ viewOnly });
  filter.push(HELLO);
  return filter;
};

describe('the filter before a desktop', () => {
  it('lets the greeting pass and makes everyone share', () => {
    expect(new RfbClientFilter({ viewOnly: false }).push(HELLO).bytes).toEqual(
      Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.from([1, 1])]),
    );
  });

  it.each(names)('%s passes for who may use it, and is input only when a person does something', (name) => {
    const passed = greeted(false).push(MESSAGES[name]);
    expect(passed).toEqual({ bytes: MESSAGES[name], input: INPUT.includes(name) });
  });

  it.each(names)('%s passes for who only looks unless it is input', (name) => {
    const isInput = INPUT.includes(name);
    const passed = greeted(true).push(MESSAGES[name]);
    expect(passed).toEqual({ bytes: isInput ? Buffer.alloc(0) : MESSAGES[name], input: false });
  });

  it('does not care how the bytes are cut', () => {
    const message = fc.constantFrom(...names);
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), fc.array(fc.nat(40)), fc.boolean(), (sent, cuts, viewOnly) => {
        const all = Buffer.concat([HELLO, ...sent.map((name) => MESSAGES[name])]);
        const whole = new RfbClientFilter({ viewOnly }).push(all).bytes;
        const filter = new RfbClientFilter({ viewOnly });
        const pieces: Buffer[] = [];
        let at = 0;
        for (const size of [...cuts, all.length]) {
          pieces.push(filter.push(all.subarray(at, at + size)).bytes);
          at += size;
        }
        expect(Buffer.concat(pieces)).toEqual(whole);
        const expected = sent.filter((name) => !viewOnly || !INPUT.includes(name)).map((name) => MESSAGES[name]);
        expect(whole.subarray(HELLO.length)).toEqual(Buffer.concat(expected));
      }),
    );
  });

  it.each([
    ['another version', Buffer.from('RFB 003.003\n')],
    ['something else', Buffer.from('GET / HTTP/1.1\r\n')],
    ['a security type that asks for more', Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.from([2])])],
    ['an unknown message', Buffer.concat([HELLO, Buffer.from([7, 0, 0, 0])])],
    ['a text beyond the cap', Buffer.concat([HELLO, Buffer.from([6, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff])])],
  ])('refuses %s', (_what, bytes) => {
    expect(() => new RfbClientFilter({ viewOnly: true }).push(bytes)).toThrow(RfbError);
  });

  it('never passes more than came, and throws nothing but its refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
        try {
          expect(greeted(true).push(Buffer.from(noise)).bytes.length).toBeLessThanOrEqual(noise.length);
        } catch (error) {
          expect(error).toBeInstanceOf(RfbError);
        }
      }),
    );
  });
});
