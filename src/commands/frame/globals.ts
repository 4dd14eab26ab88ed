/** The flags that every client command understands. */
import type { FlagSpec } from './spec.ts';

export const globalFlags: readonly FlagSpec[] = [
  { name: 'auth-jwt-token', type: 'string', value: 'TOKEN', usage: 'token to present instead of a user name and password' },
  { name: 'cacert', type: 'string', value: 'FILE', usage: 'CA certificates (PEM) that the server must be signed by', complete: 'files' },
  { name: 'cert', type: 'string', value: 'FILE', usage: 'client certificate (PEM) to present', complete: 'files' },
  { name: 'command-timeout', type: 'duration', default: '5s', usage: 'limit for one short command' },
  { name: 'debug', type: 'bool', usage: 'say on standard error what the client does' },
  { name: 'dial-timeout', type: 'duration', default: '2s', usage: 'limit for making a connection' },
  { name: 'discovery-srv', short: 'd', type: 'string', value: 'DOMAIN', usage: 'domain whose SRV records name the endpoints' },
  { name: 'discovery-srv-name', type: 'string', value: 'NAME', usage: 'suffix of the service name in SRV records' },
  { name: 'endpoints', type: 'strings', default: '127.0.0.1:2379', value: 'LIST', usage: 'members to talk to, separated by commas' },
  { name: 'hex', type: 'bool', usage: 'print bytes and ids in hexadecimal' },
  { name: 'insecure-discovery', type: 'bool', default: 'true', usage: 'accept SRV records of endpoints without TLS' },
  { name: 'insecure-skip-tls-verify', type: 'bool', usage: "do not check the server's certificate (for tests only)" },
  { name: 'insecure-transport', type: 'bool', default: 'true', usage: 'talk without TLS when no certificate is given' },
  { name: 'keepalive-time', type: 'duration', default: '2s', usage: 'pause between pings on a connection' },
  { name: 'keepalive-timeout', type: 'duration', default: '6s', usage: 'wait for the answer to a ping' },
  { name: 'key', type: 'string', value: 'FILE', usage: "the client certificate's private key (PEM)", complete: 'files' },
  { name: 'max-recv-bytes', type: 'int', usage: 'largest response in bytes; 0 for 2 GiB' },
  { name: 'max-request-bytes', type: 'int', usage: 'largest request in bytes; 0 for 2 MiB' },
  { name: 'password', type: 'string', value: 'PASSWORD', usage: 'password of the user given by --user' },
  { name: 'user', type: 'string', value: 'NAME[:PASSWORD]', usage: 'user to log in as; asks for a missing password' },
  {
    name: 'write-out',
    short: 'w',
    type: 'string',
    default: 'simple',
    value: 'FORMAT',
    usage: 'output format: fields, json, protobuf, simple or table',
    complete: ['simple', 'json', 'fields', 'table', 'protobuf'],
  },
];

/** Flags that only our own program has: refused when it is called by etcd's names. */
export const ownGlobalFlags: readonly FlagSpec[] = [
  {
    name: 'error-format',
    type: 'string',
    default: 'text',
    value: 'FORMAT',
    usage: 'how an error is told: text, or json with code and hint',
    own: true,
    complete: ['text', 'json'],
  },
  { name: 'no-pager', type: 'bool', usage: 'on a terminal, do not show long tables through PAGER', own: true },
  { name: 'utf8', type: 'bool', usage: 'in JSON, print keys and values as text where they are valid UTF-8', own: true },
];
