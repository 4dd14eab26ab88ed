/** `--enable-distributed-tracing`: what a member needs for it, wired up. */
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { CallTracer } from '../../base/trace.ts';
import { connectHttp2 } from '../../wire/http2-channel.ts';
import type { TracingConfig } from '../config/config.ts';
import { SpanExport } from './span-export.ts';
import { Tracer } from './tracer.ts';

/** Longest wait for a connection to the collector, ms: below what one call may take. */
const connectTimeoutMs = 5000;
const messageBytesMax = 4 * 1024 * 1024;

export interface Tracing {
  readonly tracer: CallTracer;
  readonly spans: SpanExport;
  /** Sends what waits, for as long as that may take. */
  close(): Promise<void>;
}

export function startTracing(options: {
  readonly config: TracingConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly serverVersion: string;
}): Tracing {
  const { config, clock, random, log, serverVersion } = options;
  const channel = connectHttp2(
    { text: config.address, address: withPort(config.address), secure: false, unix: false },
    {
      tls: undefined,
      connectTimeoutMs,
      keepaliveMs: 0,
      keepaliveTimeoutMs: 0,
      sendBytesMax: messageBytesMax,
      receiveBytesMax: messageBytesMax,
    },
  );
  const spans = new SpanExport({
    channel,
    clock,
    log,
    serviceName: config.serviceName,
    instanceId: config.instanceId,
    version: serverVersion,
  });
  const { samplesPerMillion } = config;
  const tracer = new Tracer({ clock, random, samplesPerMillion, finished: (span) => spans.add(span) });
  log.info('distributed tracing setup enabled', {
    address: config.address,
    'service-name': config.serviceName,
    'service-instance-id': config.instanceId,
    'sampling-rate': samplesPerMillion,
  });
  return { tracer, spans, close: () => spans.close() };
}

/** gRPC's collectors listen on 4317. */
function withPort(address: string): string {
  return /:\d+$/.test(address) ? address : `${address}:4317`;
}
