//! Key files: encrypted PKCS#8 (RFC 5958) in PEM, PBES2 with scrypt (RFC 7914) and AES-256-CBC, readable by openssl.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use der::zeroize::Zeroizing;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::pkcs5::scrypt;
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, SecretDocument};
use pki_core::random::{self, Entropy};

use crate::durable::{self, Existing};
use crate::error::KeyFileError;
use crate::passphrase::Passphrase;

const LABEL: &str = "ENCRYPTED PRIVATE KEY";
const MAX_FILE: u64 = 64 * 1024;

// scrypt with N = 2^14, r = 8, p = 1 takes 16 MiB and less than a tenth of a second: what openssl accepts without raising its
// memory limit (32 MiB), and short enough to open three keys at every start.
const LOG_N: u8 = 14;
const BLOCK_SIZE: u32 = 8;
const PARALLELISM: u32 = 1;

/// The most memory times work that opening a file may cost: sixteen times what we write ourselves.
const MAX_COST: u64 = 16 * (1 << 14) * 8;

/// Reads and opens one key file; the answer is the DER of a PKCS#8 PrivateKeyInfo.
pub(crate) fn open(path: &Path, passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let text = read(path)?;
    let not_a_key = |why: String| KeyFileError::NotAKey { path: path.to_owned(), why };
    let (label, document) =
        SecretDocument::from_pem(&text).map_err(|error| not_a_key(format!("{error}; restore it from a backup")))?;
    if label != LABEL {
        return Err(not_a_key(format!(
            "it holds `{label}`; encrypt it with `openssl pkcs8 -topk8 -v2 aes256 -scrypt -in OLD -out NEW`"
        )));
    }
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|error| not_a_key(format!("{error}; restore it from a backup")))?;
    bounded(&encrypted.encryption_algorithm).map_err(not_a_key)?;
    // CBC has no tag: a wrong passphrase shows as bad padding, or once in 256 times as bad DER
    let wrong = || KeyFileError::WrongPassphrase { path: path.to_owned() };
    let opened = encrypted.decrypt(passphrase.bytes()).map_err(|_| wrong())?;
    pkcs8::PrivateKeyInfoRef::try_from(opened.as_bytes()).map_err(|_| wrong())?;
    Ok(opened.to_bytes())
}

/// Encrypts the DER of a PKCS#8 PrivateKeyInfo under `passphrase` and writes it with mode 0600; never overwrites.
pub(crate) fn create(
    path: &Path,
    pkcs8: &[u8],
    passphrase: &Passphrase,
    entropy: &dyn Entropy,
) -> Result<(), KeyFileError> {
    let pem = encrypt(pkcs8, passphrase, entropy);
    durable::write(path, pem.as_bytes(), 0o600, Existing::Keep).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.to_owned() },
        _ => KeyFileError::Write { path: path.to_owned(), source },
    })
}

fn encrypt(pkcs8: &[u8], passphrase: &Passphrase, entropy: &dyn Entropy) -> Zeroizing<String> {
    let cost = scrypt::Params::new(LOG_N, BLOCK_SIZE, PARALLELISM).expect("the parameters are within scrypt's range");
    let salt: [u8; 16] = random::bytes(entropy);
    let scheme =
        Parameters::generate_scrypt_aes256cbc(cost, &salt, random::bytes(entropy)).expect("a salt of 16 octets fits");
    let encrypted = scheme.encrypt(passphrase.bytes(), pkcs8).expect("scrypt and AES-256-CBC are compiled in");
    let info = pkcs8::EncryptedPrivateKeyInfoOwned {
        encryption_algorithm: scheme.into(),
        encrypted_data: der::asn1::OctetString::new(encrypted).expect("a key is shorter than DER's limit"),
    };
    let document = SecretDocument::try_from(&info).expect("two valid members always encode");
    document.to_pem(LABEL, LineEnding::LF).expect("the label is valid")
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let mut text = Zeroizing::new(String::new());
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
    read.map_err(|source| KeyFileError::Read { path: path.to_owned(), source })?;
    Ok(text)
}

/// A file can name any cost; one that would need gigabytes or hours is refused instead of tried.
fn bounded(scheme: &EncryptionScheme) -> Result<(), String> {
    let EncryptionScheme::Pbes2(Parameters { kdf, .. }) = scheme else {
        return Err(
            "it is encrypted by an outdated method (PKCS#5 v1.5); encrypt it again with `openssl pkcs8 -topk8 -scrypt`"
                .into(),
        );
    };
    let cheap = match kdf {
        Kdf::Scrypt(scrypt) => {
            let work = scrypt.cost_parameter.saturating_mul(u64::from(scrypt.block_size));
            work.saturating_mul(u64::from(scrypt.parallelization)) <= MAX_COST
        }
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= 10_000_000,
        _ => false,
    };
    cheap.then_some(()).ok_or_else(|| {
        "opening it would cost far more than any key file should; encrypt it again with `openssl pkcs8 -topk8 -scrypt`".into()
    })
}
