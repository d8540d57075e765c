//! TLS by rustls. What is verified is decided here, for every driver alike.

use crate::DbError;
use dunlin_core::failure::ErrorClass;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where distributions keep the CAs that they trust.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// What of the server's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Nothing: the line is encrypted, to whomever.
    Nothing,
    /// That a trusted CA signed it.
    Ca,
    /// That, and that it is for the host of the URL.
    Full,
}

/// When TLS is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Never.
    Disable,
    /// Plain, and TLS where the server insists.
    Allow,
    /// TLS, and plain where the server has none.
    Prefer,
    /// Always.
    Require(Verify),
}

/// Which CAs are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Those that the world trusts: Mozilla's, and the system's own bundle.
    Public,
    /// Those of this file only.
    File(PathBuf),
}

/// All that a URL says of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    pub(crate) roots: Roots,
    /// The client's own certificate and key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

impl Plan {
    /// The same plan in the environment variables of libpq, for its tools.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let mode = match self.mode {
            Mode::Disable => "disable",
            Mode::Allow => "allow",
            Mode::Prefer => "prefer",
            Mode::Require(Verify::Nothing) => "require",
            Mode::Require(Verify::Ca) => "verify-ca",
            Mode::Require(Verify::Full) => "verify-full",
        };
        let mut found = vec![("PGSSLMODE", mode.to_owned())];
        if let Roots::File(path) = &self.roots {
            found.push(("PGSSLROOTCERT", path.display().to_string()));
        }
        if let Some((certificate, key)) = &self.identity {
            found.push(("PGSSLCERT", certificate.display().to_string()));
            found.push(("PGSSLKEY", key.display().to_string()));
        }
        found
    }

    /// What is verified when TLS is used.
    pub(crate) fn verify(&self) -> Verify {
        match self.mode {
            Mode::Require(verify) => verify,
            _ => Verify::Nothing,
        }
    }
}

fn broken(path: &Path, why: impl std::fmt::Display) -> DbError {
    DbError::new(ErrorClass::Tls, format!("`{}`: {why}", path.display()))
}

/// The certificates of a PEM file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, DbError> {
    let bytes = std::fs::read(path).map_err(|error| broken(path, error))?;
    let found: Vec<_> = rustls_pemfile::certs(&mut bytes.as_slice())
        .collect::<Result<_, _>>()
        .map_err(|error| broken(path, error))?;
    if found.is_empty() {
        return Err(broken(path, "there is no certificate in PEM form in it"));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, DbError> {
    let bytes = std::fs::read(path).map_err(|error| broken(path, error))?;
    rustls_pemfile::private_key(&mut bytes.as_slice())
        .map_err(|error| broken(path, error))?
        .ok_or_else(|| broken(path, "there is no private key in PEM form in it"))
}

/// The system's bundle, where there is one.
pub(crate) fn system_bundle() -> Option<&'static Path> {
    SYSTEM_BUNDLES
        .iter()
        .map(Path::new)
        .find(|path| path.exists())
}

/// The certificates that this system trusts, in DER; none where it has no bundle.
pub fn system_roots() -> Vec<Vec<u8>> {
    let found = system_bundle().and_then(|path| certificates(path).ok());
    let found = found.unwrap_or_default().into_iter();
    found.map(|certificate| certificate.to_vec()).collect()
}

fn root_store(roots: &Roots) -> Result<RootCertStore, DbError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Public => {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            if let Some(path) = system_bundle() {
                // One that cannot be read is a CA less, not a reason to stop.
                store.add_parsable_certificates(certificates(path).unwrap_or_default());
            }
        }
        Roots::File(path) => {
            for certificate in certificates(path)? {
                store
                    .add(certificate)
                    .map_err(|error| broken(path, error))?;
            }
        }
    }
    Ok(store)
}

/// The configuration of a client under a plan.
pub(crate) fn client(plan: &Plan) -> Result<ClientConfig, DbError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let refuse =
        |error: &dyn std::fmt::Display| DbError::new(ErrorClass::Tls, format!("TLS: {error}"));
    let chain = match plan.verify() {
        Verify::Nothing => None,
        Verify::Ca | Verify::Full => {
            let store = Arc::new(root_store(&plan.roots)?);
            let verifier =
                WebPkiServerVerifier::builder_with_provider(store, Arc::clone(&provider));
            Some(verifier.build().map_err(|error| refuse(&error))?)
        }
    };
    let checks = Arc::new(Checks {
        chain,
        any_name: plan.verify() != Verify::Full,
        provider: Arc::clone(&provider),
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(&error))?
        .dangerous()
        .with_custom_certificate_verifier(checks);
    match &plan.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((cert, key)) => builder
            .with_client_auth_cert(certificates(cert)?, private_key(key)?)
            .map_err(|error| broken(cert, error)),
    }
}

#[derive(Debug)]
struct Checks {
    chain: Option<Arc<WebPkiServerVerifier>>,
    any_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Checks {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last: the chain is good when only the name is wrong.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.chain {
            Some(chain) => chain.verify_tls12_signature(message, cert, dss),
            // Of a certificate that nobody vouches for, a signature proves nothing; old servers' self-made
            // certificates (X.509 version 1) could not even be read for it.
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.chain {
            Some(chain) => chain.verify_tls13_signature(message, cert, dss),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The error of rustls within a driver's error, however deep it lies.
pub(crate) fn within<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        // An io::Error's own error is not its source but its inside.
        let inside = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(found) = inside.and_then(|inside| inside.downcast_ref::<Error>()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What a failed handshake means, in a sentence, and what to do. `root` is how the URL names the file of the CA.
pub(crate) fn explain(error: &Error, plan: &Plan, host: &str, root: &str) -> DbError {
    let (message, hint) = match error {
        // A CA of the same name and another key shows as a bad signature.
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            let whom = match &plan.roots {
                Roots::Public => "a CA that is trusted here".to_owned(),
                Roots::File(path) => format!("the CA in `{}`", path.display()),
            };
            (
                format!("the server's certificate is not signed by {whom}"),
                format!("give the file of the CA that signed it as `{root}`"),
            )
        }
        Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented, ..
        }) => {
            let names = match presented.as_slice() {
                [] => "no name at all".to_owned(),
                names => names.join(", "),
            };
            (
                format!("the server's certificate is not for `{host}`: it names {names}"),
                "connect by a name of the certificate, or verify its CA only".into(),
            )
        }
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => (
            "the server's certificate has expired".into(),
            "renew it on the server".into(),
        ),
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => (
            "the server's certificate is not valid yet".into(),
            "compare the clocks of both machines".into(),
        ),
        other => (
            format!("TLS with {host} failed: {other}"),
            "the server's log may say more".into(),
        ),
    };
    let mut told = DbError::new(ErrorClass::Tls, message);
    told.hint = Some(hint);
    told
}
