//! A CA with a certificate to ask about, questions by hand, and answers as they came over HTTP.

use std::path::{Path, PathBuf};

use pki_core::x509::ocsp::Response;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use tests::agent::Agent;
use tests::ca::Ca;
use tests::certificate::{chain, hex};
use tests::folders::{Folder, write};
use tests::http::{Answer, ask};
use tests::process::{Ran, run};
use tests::wait;
use tests::world::enrolled;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A CA, a node of it, and a folder.
pub(crate) struct World {
    pub(crate) ca: Ca,
    pub(crate) agent: Agent,
    pub(crate) folder: Folder,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::of(Ca::start(&[]).await).await
    }

    pub(crate) async fn of(ca: Ca) -> Self {
        let agent = enrolled(&ca, "gw-1", "gateway", &["gw-1.site.test"]).await;
        let world = Self { ca, agent, folder: Folder::new() };
        can_answer(&world.ca).await;
        world
    }

    pub(crate) fn leaf(&self) -> PathBuf {
        self.agent.live("identity").join("current/cert.pem")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/ocsp", self.ca.public_address())
    }

    pub(crate) fn serial(&self) -> Vec<u8> {
        serial(&self.leaf())
    }

    /// The CertID of a serial number under the issuing CA, with SHA-1 as nearly all clients have it.
    pub(crate) fn id(&self, serial: &[u8]) -> Vec<u8> {
        id(&self.ca.issuer(), serial, false)
    }

    /// `openssl ocsp` with these arguments beside issuer and address.
    pub(crate) async fn openssl(&self, arguments: &[&str]) -> Ran {
        let mut command = std::process::Command::new("openssl");
        command.arg("ocsp").arg("-issuer").arg(self.ca.issuer()).args(arguments).args(["-url", &self.url()]);
        command.arg("-CAfile").arg(self.ca.roots()).arg("-verify_other").arg(self.ca.issuer());
        run(&mut command).await
    }

    pub(crate) async fn revoke(&self, reason: &str) {
        self.ca.command(&["cert", "revoke", &hex(&self.serial()), "--reason", reason]).await.success();
    }

    pub(crate) async fn release(&self) {
        self.ca.command(&["cert", "release", &hex(&self.serial())]).await.success();
    }

    pub(crate) async fn get(&self, request: &[u8]) -> Answer {
        ask(&self.ca.public_address(), &format!("GET /ocsp/{}", base64(request)), "", &[]).await
    }

    pub(crate) async fn post(&self, request: &[u8]) -> Answer {
        post(&self.ca.public_address(), request).await
    }

    pub(crate) fn save(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        write(&path, bytes, 0o644);
        path
    }
}

/// Waits until the responder has its certificate.
pub(crate) async fn can_answer(ca: &Ca) {
    let address = ca.public_address();
    let question = request(&[id(&ca.issuer(), &[1], false)], &[]);
    answered(&address, &question).await;
}

/// Waits until a question is answered and not refused any more: a refusal is five octets (OCS-1).
pub(crate) async fn answered(address: &str, question: &[u8]) -> Answer {
    let is_answer = async || Some(post(address, question).await).filter(|answer| answer.body.len() > 5);
    wait::until("an answer that is no refusal", 60, is_answer).await
}

pub(crate) async fn post(address: &str, request: &[u8]) -> Answer {
    let head = format!("Content-Type: application/ocsp-request\r\nContent-Length: {}\r\n", request.len());
    ask(address, "POST /ocsp", &head, request).await
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The octets of the serial number of a certificate in a file.
pub(crate) fn serial(leaf: &Path) -> Vec<u8> {
    let chain = chain(leaf);
    let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
    leaf.raw_serial().to_vec()
}

pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        short @ 0..=127 => vec![u8::try_from(short).unwrap()],
        middle @ 128..=255 => vec![0x81, u8::try_from(middle).unwrap()],
        long @ 256..=65_535 => [&[0x82][..], &u16::try_from(long).unwrap().to_be_bytes()].concat(),
        huge => [&[0x83][..], &u32::try_from(huge).unwrap().to_be_bytes()[1..]].concat(),
    };
    [&[tag][..], &length, content].concat()
}

pub(crate) fn id(issuer: &Path, serial: &[u8], is_sha256: bool) -> Vec<u8> {
    let chain = chain(issuer);
    let (_, issuer) = X509Certificate::from_der(&chain[0]).unwrap();
    let key = issuer.public_key().subject_public_key.data.as_ref();
    let (algorithm, oid) = match is_sha256 {
        true => (&SHA256, &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01][..]),
        false => (&SHA1_FOR_LEGACY_USE_ONLY, &[0x2b, 0x0e, 0x03, 0x02, 0x1a][..]),
    };
    let name = digest(algorithm, issuer.subject().as_raw());
    let key = digest(algorithm, key);
    let algorithm = element(0x30, &[element(6, oid), vec![5, 0]].concat());
    element(0x30, &[algorithm, element(4, name.as_ref()), element(4, key.as_ref()), element(2, serial)].concat())
}

/// A request for these CertIDs, with these extensions.
pub(crate) fn request(ids: &[Vec<u8>], extensions: &[Vec<u8>]) -> Vec<u8> {
    let entries: Vec<u8> = ids.iter().flat_map(|id| element(0x30, id)).collect();
    let extensions = match extensions {
        [] => Vec::new(),
        all => element(0xa2, &element(0x30, &all.concat())),
    };
    element(0x30, &element(0x30, &[element(0x30, &entries), extensions].concat()))
}

/// A nonce extension of these octets.
pub(crate) fn nonce(octets: &[u8]) -> Vec<u8> {
    extension(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02], false, &element(4, octets))
}

pub(crate) fn extension(oid: &[u8], is_critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if is_critical { &[1, 1, 0xff] } else { &[] };
    element(0x30, &[&element(6, oid)[..], critical, &element(4, value)].concat())
}

/// What an answer says as one of OCSP.
pub(crate) trait OcspAnswer {
    /// The code of a refusal, which is HTTP 200 and shall not be kept (OCS-1, OCS-10).
    fn refusal(&self) -> u8;

    /// What it says, read by the CA's own reader; `openssl` and others read it in `programs`.
    fn read(&self) -> Response;
}

impl OcspAnswer for Answer {
    fn refusal(&self) -> u8 {
        assert_eq!((self.status, self.header("content-type")), (200, Some("application/ocsp-response")), "{self:?}");
        assert!(self.header("cache-control").unwrap().contains("no-store"), "{self:?}");
        match self.body.as_slice() {
            [0x30, 3, 0x0a, 1, code] => *code,
            _ => panic!("no refusal: {self:?}"),
        }
    }

    fn read(&self) -> Response {
        assert_eq!((self.status, self.header("content-type")), (200, Some("application/ocsp-response")), "{self:?}");
        Response::parse(&self.body).unwrap()
    }
}
