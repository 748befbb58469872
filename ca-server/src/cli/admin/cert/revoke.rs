//! `ca-server cert revoke|release` for one certificate; sets are in [`super::set`].

use std::fs::File;
use std::io::Read;
use std::path::Path;

use api::admin::{ReleaseRequest, RevokeRequest, RevokedView, SameKey};
use clap::Args;
use data_encoding::HEXLOWER;
use pki_core::revocation::Reason;
use pki_core::revocation::reference::Reference;
use pki_core::x509::certificate::Certificate;
use pki_core::x509::pem;

use super::facts;
use super::set::{Aim, Set};
use crate::cli::args::Admin;
use crate::cli::client::{Client, encode};
use crate::cli::error::CliError;
use crate::cli::output;

/// The largest file that can be one certificate with its chain.
const MAX_FILE: u64 = 256 * 1024;

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["certificate", "conditions"]))]
pub(in crate::cli) struct Revoke {
    /// Its serial number (hexadecimal or decimal), its SHA-256 fingerprint, or a file with it (PEM or DER)
    certificate: Option<String>,
    #[command(flatten)]
    set: Set,
    /// Reason of RFC 5280: keyCompromise, affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn; or
    /// certificateHold, which `cert release` undoes
    #[arg(long)]
    reason: Option<String>,
    /// Why, for the audit log
    #[arg(long)]
    comment: Option<String>,
    #[command(flatten)]
    admin: Admin,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["certificate", "conditions"]))]
pub(in crate::cli) struct Release {
    /// Its serial number (hexadecimal or decimal), its SHA-256 fingerprint, or a file with it (PEM or DER)
    certificate: Option<String>,
    #[command(flatten)]
    set: Set,
    /// Why, for the audit log
    #[arg(long)]
    comment: Option<String>,
    #[command(flatten)]
    admin: Admin,
}

/// One certificate as the CA is asked for it.
pub(super) struct Named {
    /// Serial number or SHA-256.
    pub(super) reference: String,
    /// What it must have besides, when it came as a file.
    pub(super) sha256: Option<String>,
}

impl Named {
    /// A file is looked at first, a pipe too; whatever is not one is a number.
    pub(super) fn read(text: &str) -> Result<Self, CliError> {
        let path = Path::new(text);
        if path.exists() && !path.is_dir() {
            return Self::of_file(path);
        }
        match Reference::parse(text) {
            Ok(_) => Ok(Self { reference: text.to_owned(), sha256: None }),
            Err(error) => Err(CliError::Usage(format!("{error}, and there is no file of that name"))),
        }
    }

    fn of_file(path: &Path) -> Result<Self, CliError> {
        let failed = |why: String| CliError::Failed(format!("{}: {why}", path.display()));
        let mut octets = Vec::new();
        // a pipe has no length that could be asked for before
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        file.take(MAX_FILE + 1).read_to_end(&mut octets).map_err(|error| failed(error.to_string()))?;
        if u64::try_from(octets.len()).unwrap_or(u64::MAX) > MAX_FILE {
            return Err(failed(format!("more than {MAX_FILE} octets are no certificate")));
        }
        let certificate = read(&octets).map_err(failed)?;
        let sha256 = Some(HEXLOWER.encode(&certificate.sha256()));
        Ok(Self { reference: certificate.serial().to_string(), sha256 })
    }

    pub(super) fn path(&self, verb: &str) -> String {
        format!("/api/v1/certificates/{}{verb}", encode(&self.reference))
    }
}

/// A text may begin with whatever DER begins with (`0`), and DER may hold whatever text: DER is what is DER to its last octet.
fn read(octets: &[u8]) -> Result<Certificate, String> {
    let der = Certificate::parse(octets);
    let text = String::from_utf8_lossy(octets);
    match (der, first_block(&text)) {
        (Ok(certificate), _) => Ok(certificate),
        (Err(_), Some(block)) => {
            let found = pem::parse_pem_bundle(block).map_err(|error| error.to_string())?;
            found.into_iter().next().ok_or_else(|| "it holds no certificate".to_owned())
        }
        (Err(error), None) if octets.starts_with(b"\x30") => Err(error.to_string()),
        (Err(_), None) => Err("it holds no certificate".to_owned()),
    }
}

/// Of a chain, the first is the one that is meant; what `openssl x509 -text` and `cert show` write around it is none.
fn first_block(text: &str) -> Option<&str> {
    const END: &str = "-----END CERTIFICATE-----";
    let from = text.get(text.find("-----BEGIN CERTIFICATE-----")?..)?;
    from.get(..from.find(END)?.saturating_add(END.len()))
}

impl Revoke {
    pub(super) async fn run(self) -> Result<(), CliError> {
        let Some(certificate) = self.certificate else {
            return self.set.run(&self.admin, Aim::Revoke(self.reason), self.comment).await;
        };
        self.set.must_be_empty()?;
        let named = Named::read(&certificate)?;
        let body = RevokeRequest { reason: self.reason, comment: self.comment, sha256: named.sha256.clone() };
        let done: RevokedView = Client::of(&self.admin.dir)?.post(&named.path("/revoke"), &body).await?;
        if !done.changed {
            let since = output::maybe(done.certificate.revoked_at.as_ref());
            let reason = done.certificate.reason.as_deref().unwrap_or("without a reason");
            output::note(&format!("nothing was changed: it is revoked since {since} ({reason})"));
        }
        tell(&self.admin, &done)?;
        if done.changed {
            output::note(&after(&done));
        }
        done.same_key.iter().for_each(|same| output::note(&others(&done, same)));
        Ok(())
    }
}

impl Release {
    pub(super) async fn run(self) -> Result<(), CliError> {
        let Some(certificate) = self.certificate else {
            return self.set.run(&self.admin, Aim::Release, self.comment).await;
        };
        self.set.must_be_empty()?;
        let named = Named::read(&certificate)?;
        let body = ReleaseRequest { comment: self.comment, sha256: named.sha256.clone() };
        let done: RevokedView = Client::of(&self.admin.dir)?.post(&named.path("/release"), &body).await?;
        if !done.changed {
            output::note("nothing was changed: it is in force and not on hold");
        }
        tell(&self.admin, &done)?;
        if done.changed {
            output::note("it is in force again: OCSP says so from now on, and the revocation list within a second");
        }
        Ok(())
    }
}

/// What follows, and whether there is a way back.
fn after(done: &RevokedView) -> String {
    let serial = &done.certificate.serial;
    if done.certificate.reason.as_deref().and_then(Reason::from_name) == Some(Reason::CertificateHold) {
        return format!("it is on hold; `ca-server cert release {serial}` undoes that");
    }
    format!(
        "it is revoked for good. OCSP says so from now on, and the revocation list within a second: `ca-server cert show \
         {serial}` then tells its number as `first CRL`"
    )
}

/// Whoever has the key has all of its certificates.
fn others(done: &RevokedView, same: &SameKey) -> String {
    let shown = same.serials.join(", ");
    let more = if same.count > u64::try_from(same.serials.len()).unwrap_or(u64::MAX) { ", ..." } else { "" };
    let verb = if same.count == 1 { "has" } else { "have" };
    format!(
        "{} in force {verb} the same key ({shown}{more}). Whoever has the key has those too: `ca-server cert revoke --where \
         key={} --reason keyCompromise`",
        output::many(same.count, "other certificate"),
        done.certificate.spki_sha256
    )
}

fn tell(admin: &Admin, done: &RevokedView) -> Result<(), CliError> {
    output::show(admin.output.output, done, facts(&done.certificate))
}
