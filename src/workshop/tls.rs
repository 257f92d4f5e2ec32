//! TLS without anybody's authority: the hub makes its certificate, the join code holds its fingerprint.
//!
//! A learner's end looks at nothing else of the certificate: no name, no date (a class has wrong clocks),
//! no issuer. That the other end holds its key is proven by the handshake's signature, as always (RFC 8446
//! section 4.4.3).

use super::{Error, code};
use crate::kernel::OrSys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// The hub's end.
pub struct Identity {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Identity {
    /// The one kept in a folder, or a new one.
    pub fn keep(folder: &Path) -> Result<Self, Error> {
        let (certificate, key) = (folder.join("hub.crt"), folder.join("hub.key"));
        if let (Ok(certificate), Ok(key)) = (std::fs::read(&certificate), std::fs::read(&key)) {
            return Ok(Self { certificate, key });
        }
        let bad = |e: rcgen::Error| Error::Tls(e.to_string());
        let pair = rcgen::KeyPair::generate().map_err(bad)?;
        let mut params = rcgen::CertificateParams::new(vec!["drydock.local".into(), "localhost".into()]).map_err(bad)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "drydock workshop");
        let made = Self { certificate: params.self_signed(&pair).map_err(bad)?.der().to_vec(), key: pair.serialize_der() };
        // The key first: a certificate without one would be taken for a pair.
        for (path, bytes) in [(&key, &made.key), (&certificate, &made.certificate)] {
            let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
            file.and_then(|mut f| f.write_all(bytes).and_then(|()| f.sync_all())).or_sys_with(|| format!("write {}", path.display()))?;
        }
        Ok(made)
    }

    /// For a server.
    pub fn server(&self) -> Result<Arc<ServerConfig>, Error> {
        let bad = |e: rustls::Error| Error::Tls(e.to_string());
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions().map_err(bad)?;
        let key = PrivatePkcs8KeyDer::from(self.key.clone());
        let mut config = builder.with_no_client_auth().with_single_cert(vec![CertificateDer::from(self.certificate.clone())], key.into()).map_err(bad)?;
        // Each learner's process connects once; only browsers come back.
        config.send_tls13_tickets = 1;
        Ok(Arc::new(config))
    }
}

/// For a client that knows the fingerprint.
pub fn client(fingerprint: &str) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let pinned = Arc::new(Pinned { fingerprint: fingerprint.to_owned(), provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| Error::Tls(e.to_string()))?;
    Ok(Arc::new(builder.dangerous().with_custom_certificate_verifier(pinned).with_no_client_auth()))
}

/// Takes the one certificate whose fingerprint it knows.
#[derive(Debug)]
struct Pinned {
    fingerprint: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(&self, certificate: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: &ServerName<'_>, _: &[u8], _: UnixTime) -> Result<ServerCertVerified, rustls::Error> {
        if code::fingerprint(certificate) == self.fingerprint {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
