//! A small CA of the harness itself, for trying the services without the programs under test.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

use crate::folders::write;

/// A CA and a folder of generations as the agent lays them out.
pub struct Site {
    ca: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Site {
    /// A new CA that keeps its files in `folder`.
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Without names of their own every certificate would carry the same one, and Erlang takes the leaf for self-signed.
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Site root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::create_dir_all(folder).unwrap();
        write(&folder.join("roots.pem"), ca.pem(), 0o644);
        Self { ca, folder: folder.to_owned() }
    }

    /// The root, PEM file.
    pub fn roots(&self) -> PathBuf {
        self.folder.join("roots.pem")
    }

    /// The folder of a certificate, as `live/NAME`.
    pub fn live(&self, name: &str) -> PathBuf {
        self.folder.join("live").join(name)
    }

    /// Issues generation `generation` of a certificate for localhost and makes it current.
    pub fn install(&self, name: &str, generation: u32) {
        self.write(name, generation);
        self.activate(name, generation);
    }

    /// Writes a generation without making it current.
    pub fn write(&self, name: &str, generation: u32) {
        let folder = self.live(name).join(format!("g-{generation}"));
        std::fs::create_dir_all(&folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        write(&folder.join("cert.pem"), certificate.pem(), 0o644);
        write(&folder.join("fullchain.pem"), certificate.pem(), 0o644);
        write(&folder.join("key.pem"), key.serialize_pem(), 0o600);
        write(&folder.join("roots.pem"), self.ca.pem(), 0o644);
    }

    /// Moves the `current` link by one rename.
    pub fn activate(&self, name: &str, generation: u32) {
        let beside = self.live(name).join("current.new");
        let _ = std::fs::remove_file(&beside);
        symlink(format!("g-{generation}"), &beside).unwrap();
        std::fs::rename(&beside, self.live(name).join("current")).unwrap();
    }
}
