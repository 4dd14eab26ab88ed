/** The gateway and the gRPC proxy as commands. What they do is loaded only when one starts (`run.ts`). */
import type { CommandSpec, FlagSpec } from '../frame/spec.ts';
import { policies } from '../../client/options.ts';

const listenAddress = '127.0.0.1:23790';

const discoveryFlags: readonly FlagSpec[] = [
  { name: 'discovery-srv', type: 'string', value: 'DOMAIN', usage: 'domain whose SRV records name the endpoints' },
  { name: 'discovery-srv-name', type: 'string', value: 'NAME', usage: 'suffix of the service name in SRV records' },
  { name: 'insecure-discovery', type: 'bool', usage: 'accept SRV records of endpoints without TLS' },
];

const endpoints: FlagSpec = {
  name: 'endpoints',
  type: 'strings',
  default: '127.0.0.1:2379',
  usage: 'the members, comma-separated',
};

export const gateway: CommandSpec = {
  name: 'gateway',
  summary: 'Forward TCP connections to the members',
  about: ['One address in front of all members, for clients that know but one. See `gateway start`.'],
  own: true,
  group: 'Proxy commands',
  commands: [
    {
      name: 'start',
      summary: 'Start the gateway',
      about: [
        'Accepts TCP connections and hands each to a member, in turn: clients need one address, whatever members come and go. A member that refuses is passed over and tried again after `--retry-delay`. The gateway reads nothing of what goes through it; TLS is between client and member.',
      ],
      examples: [
        { command: 'gateway start --endpoints=10.0.0.1:2379,10.0.0.2:2379', about: 'one address for two members' },
        { command: 'gateway start --discovery-srv=example.com', about: 'for the members that DNS names' },
      ],
      flags: [
        { name: 'listen-addr', type: 'string', default: listenAddress, value: 'HOST:PORT', usage: 'address to listen on' },
        ...discoveryFlags,
        { name: 'trusted-ca-file', type: 'string', value: 'FILE', usage: 'authorities by which endpoints from SRV records are checked' },
        endpoints,
        { name: 'retry-delay', type: 'duration', default: '1m0s', usage: 'time after which a member that was away is tried again' },
      ],
    },
  ],
};

export const grpcProxy: CommandSpec = {
  name: 'grpc-proxy',
  summary: 'Serve many clients with few watches and leases',
  about: ['Stands between many clients and the members and keeps the load off them. See `grpc-proxy start`.'],
  own: true,
  group: 'Proxy commands',
  commands: [
    {
      name: 'start',
      summary: 'Start the gRPC proxy',
      about: [
        'A server for clients of etcd that keeps the load off the members: watches of many clients on the same keys become one, renewals of leases share a stream, and serializable reads are answered from a cache. What goes through it is forgotten by the cache when it changes; a change that takes another way is noticed when a watch here tells of it.',
        'Users and tokens go through to the members. Nothing is shared between users. A certificate of a client says nothing to the members, so `--cert` must carry no common name.',
        'Metrics of the proxy are at `/proxy/metrics`, those of a member at `/metrics`; `/proxy/health` and `/health` likewise.',
      ],
      examples: [
        {
          command: 'grpc-proxy start --endpoints=10.0.0.1:2379,10.0.0.2:2379 --listen-addr=0.0.0.0:23790',
          about: 'a proxy before two members',
        },
        {
          command: 'grpc-proxy start --namespace=team-a/ --listen-addr=127.0.0.1:23791',
          about: 'clients see only the keys below a prefix',
        },
        {
          command: 'grpc-proxy start --resolver-prefix=___grpc_proxy --resolver-ttl=60 --advertise-client-url=10.0.0.9:23790',
          about: 'proxies that show each other as members',
        },
      ],
      flags: [
        { name: 'listen-addr', type: 'string', default: listenAddress, value: 'HOST:PORT', usage: 'address to listen on' },
        ...discoveryFlags,
        { name: 'metrics-addr', type: 'string', value: 'URL', usage: 'a further listener for metrics and health' },
        endpoints,
        {
          name: 'balance',
          type: 'string',
          default: 'round-robin',
          own: true,
          complete: policies,
          usage: `how requests spread over the members: ${policies.join(', ')}`,
        },
        {
          name: 'endpoints-auto-sync-interval',
          type: 'duration',
          usage: 'time between updates of the endpoints from the member list; 0 = never',
        },
        { name: 'dial-keepalive-time', type: 'duration', usage: 'time between pings to the members; 0 = no pings' },
        { name: 'dial-keepalive-timeout', type: 'duration', default: '20s', usage: 'time a member may take to answer a ping' },
        { name: 'permit-without-stream', type: 'bool', usage: 'ping members also while no call is open' },
        {
          name: 'advertise-client-url',
          type: 'string',
          default: listenAddress,
          value: 'HOST:PORT',
          usage: 'address of this proxy, as clients and other proxies reach it',
        },
        {
          name: 'resolver-prefix',
          type: 'string',
          value: 'PREFIX',
          usage: 'prefix under which proxies register; the same for all of them',
        },
        { name: 'resolver-ttl', type: 'int', value: 'SECONDS', usage: 'TTL of the registration in seconds' },
        { name: 'namespace', type: 'string', value: 'PREFIX', usage: 'prefix under which the keys of all clients stand' },
        { name: 'enable-pprof', type: 'bool', usage: 'serve profiles at /debug/pprof/' },
        { name: 'data-dir', type: 'string', default: 'default.proxy', value: 'DIR', usage: 'directory for generated certificates' },
        { name: 'max-send-bytes', type: 'int', default: '1572864', usage: 'largest request to a member, in bytes' },
        { name: 'max-recv-bytes', type: 'int', default: '2147483647', usage: 'largest answer of a member, in bytes' },
        { name: 'grpc-keepalive-min-time', type: 'duration', default: '5s', usage: 'least time between pings of a client' },
        {
          name: 'grpc-keepalive-interval',
          type: 'duration',
          default: '2h0m0s',
          usage: 'time between pings to a silent client; 0 = no pings',
        },
        { name: 'grpc-keepalive-timeout', type: 'duration', default: '20s', usage: 'time a client may take to answer a ping' },
        { name: 'cert', type: 'string', value: 'FILE', usage: 'certificate shown to the members, without a common name' },
        { name: 'key', type: 'string', value: 'FILE', usage: 'key of the certificate shown to the members' },
        { name: 'cacert', type: 'string', value: 'FILE', usage: 'authorities by which the members are checked' },
        { name: 'insecure-skip-tls-verify', type: 'bool', usage: 'take any certificate of a member (for tests only)' },
        { name: 'cert-file', type: 'string', value: 'FILE', usage: 'certificate shown to clients' },
        { name: 'key-file', type: 'string', value: 'FILE', usage: 'key of the certificate shown to clients' },
        {
          name: 'trusted-ca-file',
          type: 'string',
          value: 'FILE',
          usage: 'authorities by which clients are checked; given, clients need a certificate',
        },
        { name: 'listen-cipher-suites', type: 'strings', usage: 'TLS 1.2 cipher suites for clients, by their IANA names' },
        { name: 'auto-tls', type: 'bool', usage: 'TLS for clients with a certificate of its own making' },
        { name: 'client-crl-file', type: 'string', value: 'FILE', usage: 'certificates of clients that were revoked' },
        {
          name: 'self-signed-cert-validity',
          type: 'uint',
          default: '1',
          value: 'YEARS',
          usage: 'validity of a certificate of its own making, in years',
        },
        { name: 'tls-min-version', type: 'string', default: 'TLS1.2', usage: 'lowest TLS version for clients: TLS1.2 or TLS1.3' },
        { name: 'tls-max-version', type: 'string', usage: 'highest TLS version for clients: TLS1.2 or TLS1.3' },
        {
          name: 'experimental-serializable-ordering',
          type: 'bool',
          usage: 'serializable reads never go back to an older revision, whichever member answers',
        },
        {
          name: 'experimental-leasing-prefix',
          type: 'string',
          value: 'PREFIX',
          usage: 'keep single keys and answer linearizable reads of them here; the prefix holds who has which',
        },
        { name: 'experimental-enable-grpc-logging', type: 'bool', usage: 'log every call' },
        { name: 'debug', type: 'bool', usage: 'log debug messages' },
        { name: 'max-concurrent-streams', type: 'uint', default: '4294967295', usage: 'streams that one client connection may have open' },
      ],
    },
  ],
};

export const proxyRoot: CommandSpec = { name: '', summary: 'The proxies of a cluster.', commands: [gateway, grpcProxy] };
