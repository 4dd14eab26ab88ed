/** What `cert` stands on: loaded only when it runs. */
export {
  CertificateError,
  examine,
  issueCertificate,
  makeAuthority,
  type Examined,
  type Finding,
  type Purpose,
} from '../../host/certificates.ts';
