/** Every cap of the wire, with its unit and reason. A server faces a network: nothing it keeps for a peer may be without bound. */

export interface WireLimits {
  /** Bytes of one decoded request message. etcd: max-request-bytes + 512 KiB. */
  readonly recvMessageBytesMax: number;
  /** Bytes of one response message. etcd: 2^31 − 1. */
  readonly sendMessageBytesMax: number;
  /** Open streams of one connection; further ones are refused. etcd's default is 2^32 − 1, which lets one client hold any amount of memory. */
  readonly concurrentStreamsMax: number;
  /**
   * Open streams of all connections together. Above it a connection may open no more than the second number: many that hold what they may then
   * shut nobody out. A stream costs about 0.3 KiB, a watch on it another 1.
   */
  readonly streamsMax: number;
  readonly concurrentStreamsWhenFull: number;
  /** Connections of one listener, all kinds together; further ones are closed at once. */
  readonly connectionsMax: number;
  /** TLS handshakes that have not finished, overall and of one address: they cost memory before anyone is known. */
  readonly handshakesMax: number;
  readonly handshakesPerAddressMax: number;
  /** Milliseconds for a TLS handshake; also for the bytes that tell which protocol is spoken (the HTTP/2 preface with its SETTINGS). */
  readonly handshakeMs: number;
  /** Bytes of a header list as RFC 9113 counts them (name + value + 32 a field); told to the peer. */
  readonly headerListBytesMax: number;
  readonly headerCountMax: number;
  /** CONTINUATION frames of one header block: a block of the size above fits in two frames, so more of them is an attack. */
  readonly continuationsMax: number;
  /** Bytes of the HPACK decoding table that the peer may use. */
  readonly hpackTableBytes: number;
  /** Milliseconds from the first HEADERS frame of a block to its END_HEADERS; of HTTP/1.1: to the end of the headers. */
  readonly headersMs: number;
  /** Milliseconds from a request's headers to the end of its body, where the method takes one message. Streams are open-ended. */
  readonly bodyMs: number;
  /** Bytes a peer may send on one stream, and on the connection, before we renew its window. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** Bytes of unfinished or paused messages that one connection may make us hold; the stream that would pass it is reset. */
  readonly heldBytesMax: number;
  /** Bytes of output queued on a stream above which `send` returns false. */
  readonly streamHighWaterBytes: number;
  /** Output queued on a connection above which its new calls and ranges wait for their turn: one large answer. */
  readonly connectionHighWaterBytes: number;
  /** The same of all connections together: above it the mark of each connection is that of one stream. */
  readonly queuedHighWaterBytes: number;
  /** Calls of one connection that wait in that way; further ones are refused unread. */
  readonly deferredCallsMax: number;
  /** Bytes given to a socket and not yet taken by the kernel above which no more frames are written and nothing more is read from it. */
  readonly socketHighWaterBytes: number;
  /** Milliseconds in which a peer took not one byte although more than the high-water mark waits: it is cut. */
  readonly stalledMs: number;
  /** Frames that move nothing forward (SETTINGS, PRIORITY, empty DATA, unknown ones): burst, and how many a second are forgiven. */
  readonly controlFramesBurst: number;
  readonly controlFramesPerSecond: number;
  /** Streams that ended in a reset by the peer or by its errors, before they were answered: burst and rate ("rapid reset"). */
  readonly resetsBurst: number;
  readonly resetsPerSecond: number;
  /** WINDOW_UPDATE frames, and RST_STREAM of streams that have ended: burst and rate; each DATA frame that we send earns four. */
  readonly windowUpdatesBurst: number;
  readonly windowUpdatesPerSecond: number;
  /** Keepalive as etcd enforces it: least milliseconds between pings of a client that has calls open; two strikes are forgiven. */
  readonly keepaliveMinMs: number;
  /** Milliseconds without any frame after which we ping, and the time that the answer may take. */
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Bytes of an HTTP request body that is read whole. */
  readonly httpBodyBytesMax: number;
}

export const defaultWireLimits: WireLimits = {
  recvMessageBytesMax: 1_572_864 + 524_288,
  sendMessageBytesMax: 2_147_483_647,
  concurrentStreamsMax: 10_000,
  streamsMax: 50_000,
  concurrentStreamsWhenFull: 100,
  connectionsMax: 20_000,
  handshakesMax: 2_000,
  handshakesPerAddressMax: 1_000,
  handshakeMs: 10_000,
  headerListBytesMax: 16_384,
  headerCountMax: 128,
  continuationsMax: 16,
  hpackTableBytes: 4_096,
  headersMs: 10_000,
  bodyMs: 60_000,
  streamWindowBytes: 524_288,
  connectionWindowBytes: 1_048_576,
  heldBytesMax: 67_108_864,
  streamHighWaterBytes: 65_536,
  connectionHighWaterBytes: 2_097_152,
  queuedHighWaterBytes: 33_554_432,
  deferredCallsMax: 2_000,
  socketHighWaterBytes: 262_144,
  stalledMs: 120_000,
  controlFramesBurst: 500,
  controlFramesPerSecond: 50,
  resetsBurst: 1_000,
  resetsPerSecond: 200,
  windowUpdatesBurst: 10_000,
  windowUpdatesPerSecond: 1_000,
  keepaliveMinMs: 5_000,
  keepaliveIntervalMs: 7_200_000,
  keepaliveTimeoutMs: 20_000,
  httpBodyBytesMax: 1_572_864 + 524_288,
};
