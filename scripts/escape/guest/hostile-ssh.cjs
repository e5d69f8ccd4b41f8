// A hostile SSH server inside a guest, on standard input and output as `sshd -i`. Needs ssh2 beside it, nothing that is compiled.
// Arguments: what to do once hostd has asked for the proxy address, and the file that says that it was done.
const { writeFileSync } = require('node:fs');
const { Duplex } = require('node:stream');
const { Server, utils } = require('ssh2');

const [, , what, done] = process.argv;

/** A message as it is, whatever it says. */
function sendRaw(protocol, message) {
  const { write } = protocol._packetRW;
  const packet = write.alloc(message.length);
  packet.set(message, write.allocStart);
  protocol._cipher.encrypt(write.finalize(packet));
}

function string(bytes) {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, Buffer.from(bytes)]);
}

const ACTS = {
  /** Error output behind the end of a proxy connection. */
  'behind-the-end': (connection, protocol, over) =>
    connection.forwardOut('127.0.0.1', 3128, '127.0.0.1', 40000, (error, channel) => {
      if (error) return;
      protocol.channelEOF(channel.outgoing.id);
      protocol.channelExtData(channel.outgoing.id, Buffer.from('x'), 1);
      over();
    }),
  /** Announcements of as many host keys as a message holds. */
  'host-keys': (_connection, protocol, over) => {
    const key = string(Buffer.from(utils.generateKeyPairSync('ecdsa', { bits: 256 }).public.split(' ')[1], 'base64'));
    const keys = Buffer.concat(Array.from({ length: 250 }, () => key));
    const message = Buffer.concat([Buffer.from([80]), string('hostkeys-00@openssh.com'), Buffer.from([0]), keys]);
    for (let sent = 0; sent < 500; sent += 1) sendRaw(protocol, message);
    over();
  },
};

let hostKey = '';
do hostKey = utils.generateKeyPairSync('ed25519').private;
while (utils.parseKey(hostKey) instanceof Error);

const server = new Server({ hostKeys: [hostKey], ident: 'OpenSSH_9.2p1' }, (connection) => {
  connection.on('error', () => {});
  connection.on('authentication', (auth) => auth.accept());
  connection.on('request', (accept) => {
    accept?.();
    ACTS[what](connection, connection._protocol, () => writeFileSync(done, `sent ${what}`));
  });
});
server.injectSocket(Duplex.from({ readable: process.stdin, writable: process.stdout }));
